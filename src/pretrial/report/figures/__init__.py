"""The figures, each as panels that the page draws at any width, and as one SVG and PNG with light ground.

A figure is data first: its CSV holds exactly the rows that are drawn. Colours come from a palette that
stays apart for the common kinds of colour blindness (after Okabe and Ito for variants, Tol for sources); a
variant keeps its colour and its shape through all figures, the baseline is grey. In the page colours are
CSS variables, so a change of scheme or printing needs no redraw. SVG and PNG are the same bytes for the
same data and library versions. Nothing is loaded from anywhere: data is inline. Names stand in data and
in scales' domains only; an order given by `sort` would put them into an expression, where they do not belong.
"""

from pretrial.report.data import ReportData
from pretrial.report.figures.base import (
    LIGHT,
    PAGE,
    SHAPES,
    SOURCES_DARK,
    SOURCES_LIGHT,
    VARIANTS_DARK,
    VARIANTS_LIGHT,
    Canvas,
    Figure,
    Palette,
    Panel,
    source_colours,
    variant_colour,
)
from pretrial.report.figures.corpus import funnel, mixture, realised
from pretrial.report.figures.curves import (
    POINTS,
    evaluation_curves,
    learning_rates,
    source_curves,
    thin,
    training_curves,
)
from pretrial.report.figures.effects import effects
from pretrial.report.figures.export import config, export_spec, page_spec, png, svg, vega_lite_version

__all__ = [
    "LIGHT",
    "PAGE",
    "POINTS",
    "SHAPES",
    "SOURCES_DARK",
    "SOURCES_LIGHT",
    "VARIANTS_DARK",
    "VARIANTS_LIGHT",
    "Canvas",
    "Figure",
    "Palette",
    "Panel",
    "config",
    "effects",
    "evaluation_curves",
    "export_spec",
    "figures",
    "funnel",
    "learning_rates",
    "mixture",
    "page_spec",
    "png",
    "realised",
    "source_colours",
    "source_curves",
    "svg",
    "thin",
    "training_curves",
    "variant_colour",
    "vega_lite_version",
]


def figures(data: ReportData) -> list[Figure]:
    """All figures that the data can fill, in the order of the page."""
    made = (
        effects(data),
        training_curves(data),
        source_curves(data),
        learning_rates(data),
        evaluation_curves(data),
        mixture(data),
        funnel(data),
    )
    return [figure for figure in made if figure is not None]
