"""Fields of records under the names used here, from the columns that hold them; shared by all readers of records.

Guarantees: a field that was given a column has that column's value or is absent, whatever the record itself calls so.
Does not: import Arrow before a schema is there to look at.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pretrial.errors import RequestError

# Columns that an error names, and how like a name must be to be suggested: an unrelated one would be an order.
_SHOWN = 40
_LIKE = 0.75

Columns = Mapping[str, str]
"""Column by the name of the field; dots go into nested records (`meta.license`)."""


def value_at(fields: Mapping[str, Any], column: str) -> Any:
    """A column's value: under the whole name, else following its dots; `None` where there is none."""
    if column in fields:
        return fields[column]
    value: Any = fields
    for part in column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def take_out(fields: dict[str, Any], column: str) -> None:
    """Remove what `value_at` finds; what lies beside it in a nested record stays."""
    *path, last = (column,) if column in fields else column.split(".")
    for part in path:
        fields = fields[part]
    fields.pop(last, None)


def renamed(fields: dict[str, Any], columns: Columns | None) -> dict[str, Any]:
    """The fields with those that were given a column; a column that became one is not there a second time."""
    if not columns:
        return fields
    left = {key: value for key, value in fields.items() if key not in columns and key not in columns.values()}
    for name, column in columns.items():
        if (value := value_at(fields, column)) is not None:
            left[name] = value
    return left


def has_column(schema: Any, column: str) -> bool:
    """Whether an Arrow schema has a column, or a field in its structs, under this name."""
    import pyarrow as pa

    if column in schema.names:
        return True
    first, *rest = column.split(".")
    if first not in schema.names:
        return False
    kind = schema.field(first).type
    for part in rest:
        if not pa.types.is_struct(kind) or kind.get_field_index(part) < 0:
            return False
        kind = kind.field(part).type
    return True


def check_columns(name: str, schema: Any, text: str, columns: Columns | None) -> None:
    """That a Parquet file has the columns that a study names.

    Raises:
        RequestError: when it has not; it names those there are.
    """
    asked = {text: "text"} | {column: f"the field {field!r}" for field, column in (columns or {}).items()}
    for column, wanted in asked.items():
        if has_column(schema, column):
            continue
        there = _names(schema)
        more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
        near = _nearest(column, there)
        raise RequestError(
            f"{name} has no column {column!r}, which is to be {wanted}",
            remedy=(f"Did you mean {near}? " if near else "") + f"Its columns: {', '.join(there[:_SHOWN])}{more}.",
        )


def _nearest(column: str, there: Sequence[str]) -> str | None:
    """The column whose own name, apart from the record that it lies in, is like a wrong one's; `None` where none is."""
    record, _, own = column.rpartition(".")
    for among in ([name for name in there if name.rpartition(".")[0] == record], there):
        names = {name.rpartition(".")[2]: name for name in reversed(among)}
        if near := difflib.get_close_matches(own, names, 1, _LIKE):
            return names[near[0]]
    return None


def _names(schema: Any) -> list[str]:
    """Columns and, with dots, what lies in them."""
    import pyarrow as pa

    found: list[str] = []
    waiting = [(field.name, field.type) for field in schema]
    while waiting:
        name, kind = waiting.pop(0)
        found.append(name)
        if pa.types.is_struct(kind):
            waiting += [(f"{name}.{kind.field(at).name}", kind.field(at).type) for at in range(kind.num_fields)]
    return found
