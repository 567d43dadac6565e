"""Pretrial: controlled trials of pre-training data.

>>> import pretrial
>>> trial = pretrial.trial("studies/quickstart.yaml")     # doctest: +SKIP
>>> trial.plan()["cost"]                                  # doctest: +SKIP
>>> trial.run().report                                    # doctest: +SKIP
>>> trial.comparisons()                                   # doctest: +SKIP
>>> model = pretrial.open_checkpoint(trial.checkpoint("balanced→text"))  # doctest: +SKIP
>>> model.sample("The function returns", tokens=40)       # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pretrial.model.language_model import LanguageModel
    from pretrial.study.schema import Study
    from pretrial.trials import Trial

__version__ = "0.1.0"
__all__ = ["__version__", "open_checkpoint", "trial"]


def trial(
    study: str | Path | Mapping[str, Any] | Study,
    *,
    workspace: str | Path | None = None,
    store: str | Path | None = None,
    data: str | Path | None = None,
) -> Trial:
    """A trial of a study: a file, a mapping of the same shape, or a study object.

    Args:
        study: what to run.
        workspace: folder of logs and report; by default `pretrial-runs/<study>` beside the study file.
        store: folder of all artefacts; by default `PRETRIAL_STORE`, or `pretrial-runs/.store`.
        data: folder that `{data}` stands for; by default `PRETRIAL_DATA`.

    Raises:
        RequestError: when the study or a folder is wrong.
    """
    from pretrial.trials import Trial

    return Trial.of(study, workspace=workspace, store=store, data=data)


def open_checkpoint(path: str | Path) -> LanguageModel:
    """A trained model from a checkpoint's folder, ready to sample from."""
    from pretrial.model import language_model

    return language_model.open_checkpoint(path)
