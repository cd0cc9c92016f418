"""Every figure against its baseline image, drawn from fixed data: ``fixed`` says how both are made anew."""

from __future__ import annotations

import pytest

from paper_figures import make

from .fixed import fixed

pytestmark = pytest.mark.figures
# root mean square difference of the grey levels, of 255: an antialiased line or glyph that is placed a fraction of a
# pixel otherwise by another FreeType gives 1 to 2 on these images, a curve or label that is gone 4 and more
TOLERANCE = 2.5


@pytest.mark.parametrize("name", make.FIGURES)
@pytest.mark.mpl_image_compare(tolerance=TOLERANCE, style="default", backend="agg", savefig_kwargs={"dpi": 60})
def test_baseline(name):
    return make.load(name).draw(fixed(name))


@pytest.mark.parametrize("name", make.FIGURES)
def test_text_is_legible(name):
    """Seven points and more, on the page of a paper."""
    from matplotlib.text import Text

    figure = make.load(name).draw(fixed(name))
    figure.savefig("/dev/null", format="png", dpi=30)  # lays it out
    width, _ = figure.get_size_inches()
    assert width in (3.5, 7.0)
    for text in figure.findobj(Text):
        if text.get_text() and text.get_visible():
            assert text.get_fontsize() >= 7.0, text.get_text()
