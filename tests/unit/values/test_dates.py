from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gleaner_values import DateOrder, find_dates, settle_order

THE_DAY = date(2021, 4, 3)


@pytest.mark.parametrize(
    "printed",
    [
        "2021-04-03",
        "2021/04/03",
        "2021.4.3",
        "20210403",
        "3. April 2021",
        "03.04.2021",
        "3.4.21",
        "April 3rd, 2021",
        "Apr 3, 2021",
        "Apr03/21",
        "03-APR-21",
        "03 Apr 2021",
        "03APR2021",
        "3rd of April 2021",
        "3 avril 2021",
        "3 de abril de 2021",
        "3 aprile 2021",
        "3 april 2021",
        "2021-Apr-03",
        "2021年4月3日",
        "3 Apr '21",
    ],
)
def test_a_date_is_read_in_every_form_that_leaves_no_doubt(printed: str) -> None:
    [reading] = find_dates(f"on {printed} we met")

    assert reading.values == (THE_DAY,)
    assert reading.text == printed
    assert f"on {printed} we met"[reading.start : reading.end] == printed


@pytest.mark.parametrize(
    ("printed", "month"),
    [
        ("1. März 2019", 3),
        ("1 août 2019", 8),
        ("1 aout 2019", 8),
        ("1 déc. 2019", 12),
        ("1 mrt 2019", 3),
        ("1 enero 2019", 1),
        ("1 ottobre 2019", 10),
        ("1. Jänner 2019", 1),
        ("1er janvier 2019", 1),
        ("Sept. 1, 2019", 9),
    ],
)
def test_months_are_known_by_name_in_six_languages(printed: str, month: int) -> None:
    assert [r.values for r in find_dates(printed)] == [(date(2019, month, 1),)]


@pytest.mark.parametrize("printed", ["03/04/2021", "03-04-2021", "3/4/21", "03 04 2021", "03 / 04 / 2021"])
def test_a_date_of_small_numbers_keeps_both_readings(printed: str) -> None:
    [reading] = find_dates(printed)

    assert set(reading.values) == {date(2021, 4, 3), date(2021, 3, 4)}
    assert reading.settled(DateOrder.MONTH_FIRST) == date(2021, 3, 4)
    assert reading.settled(DateOrder.DAY_FIRST) == date(2021, 4, 3)


def test_a_date_keeps_its_only_reading_whatever_the_order() -> None:
    [reading] = find_dates("25/12/2018")

    assert reading.settled(DateOrder.MONTH_FIRST) == date(2018, 12, 25)


@pytest.mark.parametrize(
    "text",
    ["1.234,56", "192.168.10.11", "10:15:20", "99/99/2021", "RE-20140519/499", "030-123 45 67", "", "abc", "1/2"],
)
def test_what_is_no_date_is_not_read_as_one(text: str) -> None:
    assert find_dates(text) == []


def test_ranges_are_two_dates() -> None:
    assert [r.text for r in find_dates("03/08/20-03/14/20")] == ["03/08/20", "03/14/20"]
    assert [r.text for r in find_dates("01.05.14-31.05.14")] == ["01.05.14", "31.05.14"]


def test_a_clock_glued_to_a_date_does_not_hide_it() -> None:
    assert find_dates("25/12/201820:13:39")[0].values == (date(2018, 12, 25),)


def test_the_order_is_settled_by_dates_that_leave_no_doubt() -> None:
    assert settle_order(["03/04/2021", "due 03/25/2021"]) is DateOrder.MONTH_FIRST
    assert settle_order(["03/04/2021", "25/03/2021"]) is DateOrder.DAY_FIRST
    assert settle_order(["03/04/2021"]) is DateOrder.UNKNOWN


def test_the_locale_settles_what_the_page_leaves_open() -> None:
    assert settle_order(["03/04/2021"], ["en-US"]) is DateOrder.MONTH_FIRST
    assert settle_order(["03/04/2021"], ["de-DE"]) is DateOrder.DAY_FIRST


FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%d %B %Y", "%B %d, %Y", "%d-%b-%Y", "%b %d, %Y")


@given(day=st.dates(date(1900, 1, 1), date(2099, 12, 31)), form=st.sampled_from(FORMATS))
def test_what_is_printed_is_read_back(day: date, form: str) -> None:
    [reading] = find_dates(f"Date: {day.strftime(form)}.")

    assert day in reading.values


@given(st.text(max_size=200))
def test_any_text_is_read_without_error(text: str) -> None:
    for reading in find_dates(text):
        assert text[reading.start : reading.end] == reading.text
        assert reading.values
