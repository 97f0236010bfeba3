"""When a schedule runs, as people write it, and the times that follow."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeact_bot.errors import ScheduleRefused
from codeact_bot.phrases import DAYS, read
from codeact_bot.rhythm import Rhythm

READ = [
    ("every weekday at 9: how many?", "0 9 * * mon-fri", "UTC", "every weekday at 09:00 (UTC)", "how many?"),
    ("every weekday at 9 how many?", "0 9 * * mon-fri", "UTC", "every weekday at 09:00 (UTC)", "how many?"),
    ("Weekdays at 9am, Berlin time, go", "0 9 * * mon-fri", "Europe/Berlin", "every weekday at 09:00 (Europe/Berlin)", "go"),
    ("every day at 9 In which region?", "0 9 * * *", "UTC", "every day at 09:00 (UTC)", "In which region?"),
    ("daily at noon in America/New_York: eat", "0 12 * * *", "America/New_York", "every day at 12:00 (America/New_York)", "eat"),
    ("daily at 9 and 17 check", "0 9,17 * * *", "UTC", "every day at 09:00 and 17:00 (UTC)", "check"),
    ("every Monday and thursday at 17:30 draw", "30 17 * * mon,thu", "UTC", "every Monday and Thursday at 17:30 (UTC)", "draw"),
    ("every friday at 5pm: wrap up", "0 17 * * fri", "UTC", "every Friday at 17:00 (UTC)", "wrap up"),
    ("sundays, mondays and tuesdays at 12am x", "0 0 * * mon,tue,sun", "UTC", "every Monday, Tuesday and Sunday at 00:00 (UTC)", "x"),
    ("weekly on friday at 3 pm - post", "0 15 * * fri", "UTC", "every Friday at 15:00 (UTC)", "post"),
    ("every weekend at 10.30 rest", "30 10 * * sat,sun", "UTC", "every Saturday and Sunday at 10:30 (UTC)", "rest"),
    ("on the 1st of every month at 8 report", "0 8 1 * *", "UTC", "on the 1st of every month at 08:00 (UTC)", "report"),
    ("every month on the 22nd and 3rd at 8:00 UTC go", "0 8 3,22 * *", "UTC", "on the 3rd and the 22nd of every month at 08:00 (UTC)", "go"),
    ("the last day of every month at 17 sum up", "0 17 last * *", "UTC", "on the last day of every month at 17:00 (UTC)", "sum up"),
    ("every hour check", "0 * * * *", "UTC", "every hour (UTC)", "check"),
    ("every 15 minutes, look", "*/15 * * * *", "UTC", "every 15 minutes (UTC)", "look"),
    ("every 6 hours Asia/Kolkata look", "0 */6 * * *", "Asia/Kolkata", "every 6 hours (Asia/Kolkata)", "look"),
    ("0 9 * * 1-5 go", "0 9 * * mon,tue,wed,thu,fri", "UTC", "`0 9 * * 1-5` (UTC)", "go"),
    ("`*/10 8-18 * jan-jun fri-mon` go", "*/10 8-18 * jan-jun fri,sat,sun,mon", "UTC", "`*/10 8-18 * jan-jun fri-mon` (UTC)", "go"),
    ("0 9 * * 7 go", "0 9 * * sun", "UTC", "`0 9 * * 7` (UTC)", "go"),
    ("0 9 * * */2 go", "0 9 * * sun,tue,thu,sat", "UTC", "`0 9 * * */2` (UTC)", "go"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "cron", "zone", "said", "rest"), READ)
def test_words_and_cron_are_read(text, cron, zone, said, rest):
    phrase = read(text, "UTC")
    assert (phrase.rhythm.cron, phrase.rhythm.zone, phrase.said, phrase.rest) == (cron, zone, said, rest)
    assert phrase.rhythm.after(datetime.now(UTC)) is not None


@pytest.mark.parametrize(("text", "sentence"), [
    ("the mean of x", "I do not understand when that is. Write for example `every weekday at 9`"),
    ("every moon", "I do not understand when"),
    ("every friday: wrap up", "At what time? Write for example `every Friday at 9`"),
    ("every day at 25 go", "There is no time 25."),
    ("every day at 13pm go", "There is no time 13pm."),
    ("every day at 9:30 and 17:00 go", "only at the same minute"),
    ("every 7 minutes go", "I can do that every 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30 minutes"),
    ("every month on the 32nd at 8 go", "No month has a day 32."),
    ("every day at 9 Europe/Atlantis go", "I know no time zone Europe/Atlantis."),
    ("61 9 * * * go", "`61 9 * * *` is no cron line that I understand"),
    ("0 9 * * 8 go", "There is no day of the week '8'."),
    ("2 times 3 is 6", "I do not understand when"),
])  # fmt: skip
def test_what_is_not_understood_is_said_with_a_remedy(text, sentence):
    with pytest.raises(ScheduleRefused) as refusal:
        read(text, "UTC")
    assert sentence in str(refusal.value)


@given(st.integers(0, 23), st.integers(0, 59), st.sets(st.sampled_from(DAYS), min_size=1))
def test_the_times_are_those_that_were_named(hour, minute, days):
    phrase = read(f"every {', '.join(sorted(days))} at {hour}:{minute:02d} go", "Asia/Tokyo")
    for at in phrase.rhythm.times(datetime(2026, 11, 25, tzinfo=UTC), 8):
        assert (at.hour, at.minute) == (hour, minute)
        assert at.strftime("%a").lower() in days


def test_a_night_on_which_the_clocks_change_has_each_time_once():
    rhythm = Rhythm(cron="30 2 * * *", zone="Europe/Berlin")
    autumn = rhythm.times(datetime(2026, 10, 24, 12, tzinfo=UTC), 2)
    assert [at.strftime("%d %H:%M") for at in autumn] == ["25 02:30", "26 02:30"]
    spring = rhythm.times(datetime(2027, 3, 27, 12, tzinfo=UTC), 2)
    assert [at.astimezone(ZoneInfo("Europe/Berlin")).day for at in spring] == [28, 29]
    quarters = Rhythm(cron="*/30 * * * *", zone="Europe/Berlin").times(datetime(2026, 10, 24, 23, 45, tzinfo=UTC), 4)
    utc = [at.astimezone(UTC) for at in quarters]
    assert [later - earlier for earlier, later in pairwise(utc)] == [timedelta(minutes=30)] * 3


def test_day_of_the_month_or_of_the_week_as_cron_has_it():
    times = Rhythm(cron="0 9 1 * mon", zone="UTC").times(datetime(2026, 11, 25, tzinfo=UTC), 3)
    assert [at.strftime("%a %d") for at in times] == ["Mon 30", "Tue 01", "Mon 07"]


@given(st.integers(0, 400), st.integers(0, 60 * 24 * 40))
def test_the_last_time_up_to_now_is_found_without_walking_there(start, minutes):
    rhythm = Rhythm(cron="*/20 6-22 * * mon-sat", zone="Europe/Berlin")
    first = rhythm.after(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=start))
    now = first + timedelta(minutes=minutes)
    last = rhythm.latest(first, now)
    assert first <= last <= now
    assert rhythm.after(last) > now


def test_times_are_counted_up_to_a_bound():
    rhythm = Rhythm(cron="0 * * * *", zone="UTC")
    first = datetime(2026, 1, 1, tzinfo=UTC)
    assert rhythm.count(first, first + timedelta(hours=5, minutes=10), 100) == 6
    assert rhythm.count(first, first + timedelta(days=365), 100) == 100
