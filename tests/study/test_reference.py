from __future__ import annotations

from pathlib import Path

from pretrial.study.form import Form, StudyForm
from pretrial.study.reference import _TITLES, main, reference

COMMITTED = Path(__file__).parents[2] / "docs" / "study-file.md"


def test_the_committed_reference_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == reference(), "run: python -m pretrial.study.reference"


def test_every_key_is_in_it_with_a_meaning() -> None:
    text = reference()
    forms = [form for form in Form.__subclasses__() if form is not StudyForm] + [StudyForm]
    assert set(forms) == set(_TITLES)
    for form in forms:
        section = text.split(f"## {_TITLES[form]}\n", 1)[1].split("\n## ", 1)[0]
        for name, field in form.model_fields.items():
            assert f"| `{field.alias}` |" in section, (form, name)
            assert field.description, (form, name)
            assert field.description.replace("|", "\\|") in section


def test_it_is_written_where_it_is_told(tmp_path: Path) -> None:
    main([str(tmp_path / "reference.md")])
    assert (tmp_path / "reference.md").read_text(encoding="utf-8") == reference()
