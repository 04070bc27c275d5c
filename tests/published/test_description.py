"""What data/datapackage.json says of its columns."""

import math

from analysis.published.tables import described


def test_every_integer_is_bounded():
    """One that fits no machine word would end in an OverflowError of pandas."""
    open_ended = [
        (name, field["name"])
        for name, table in described().items()
        for field in table["schema"]["fields"]
        if field["type"] == "integer"
        and not all(
            abs(field["constraints"].get(end, math.inf)) <= 2**53 for end in ("minimum", "maximum")
        )
    ]
    assert open_ended == []
