"""collector.toml: what it may say, what it means, and one line for each mistake."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from collector.errors import SettingsError
from collector.settings.loading import load_settings
from collector.settings.protocol_names import WAYS
from collector.settings.secrets import channel_password
from protocols.dialects import DIALECTS
from storage.records import Basis, Plan
from tests.rooms.configurations import SMALL, settings


def mistakes(text: str) -> list[str]:
    """What is said of this configuration."""
    with pytest.raises(SettingsError) as caught:
        settings(text)
    assert caught.value.exit_status == 2
    return caught.value.problems


def test_a_small_configuration_has_the_defaults_of_the_design() -> None:
    found = settings()
    assert found.zone.key == "Asia/Shanghai"
    assert found.storage.url.url == "sqlite:///place/chaobiao.db"
    assert found.registry.file == Path("place/meters.csv")
    assert found.targets.read == Decimal("99.5")
    village = found.channel("village-1")
    assert (village.timeout, village.retries, village.quarantine) == (timedelta(seconds=1), 2, timedelta(seconds=3))
    assert not village.echo
    assert village.gap is None
    assert found.plan_records == (Plan("daily", ("1-0:1.8.0",), Basis.FREEZE, at_minute=5),)
    more = 'at = "00:05"\nstations = ["East"]\njitter = "2m"\nwindow = "6h"\ncutoff = "08:00"\ndays = [11, 1]'
    text = SMALL.replace('basis = "freeze"\nat = "00:05"', f'basis = "settlement"\n{more}')
    (plan,) = settings(text).plan_records
    assert (plan.stations, plan.days, plan.jitter_s, plan.window_s, plan.cutoff_minute) == (
        ("East",),
        (1, 11),
        120,
        21600,
        480,
    )
    assert found.billing is not None
    assert found.billing.groups[0].cutoff == timedelta(days=3)


def test_relative_paths_count_from_the_configuration_file(tmp_path: Path) -> None:
    (tmp_path / "collector.toml").write_text(SMALL, "utf-8")
    found = load_settings(tmp_path / "collector.toml")
    assert found.registry.file == tmp_path / "meters.csv"
    assert found.storage.url.path == tmp_path / "chaobiao.db"


def test_absolute_paths_stay_as_they_are() -> None:
    found = settings(SMALL.replace("sqlite:///chaobiao.db", "sqlite:////var/lib/chaobiao.db"))
    assert found.storage.url.path == Path("/var/lib/chaobiao.db")


def test_records_cannot_be_altered() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(settings().channel("village-1"), "retries", 3)  # noqa: B010 - mypy refuses to write it plainly


def test_channels_with_the_same_link_share_it() -> None:
    found = settings(SMALL.replace("127.0.0.1:1502", "127.0.0.1:8021"))
    assert {channel.name: channel.link.medium for channel in found.channels} == {
        "village-1": "tcp:127.0.0.1:8021",
        "substation": "tcp:127.0.0.1:8021",
        "broker": "mqtt:127.0.0.1:1883",
    }


def test_every_mistake_at_once_each_with_file_line_and_key() -> None:
    text = SMALL.replace('protocol = "dlt645"', 'protocol = "dlt654"\ntmeout = "2s"\nretries = "two"')
    text = text.replace('at = "00:05"', 'at = "24:05"\nchannels = ["vilage-1"]')
    said = mistakes(text)
    assert [line.partition(": ")[0] for line in said] == [f"collector.toml:{n}" for n in (9, 10, 11, 25, 26)]
    assert said[0].startswith('collector.toml:9: channel.0.protocol: "dlt654" is not known; did you mean "dlt645"?')
    assert 'channel.0.tmeout: unknown key "tmeout"; did you mean "timeout"?' in said[1]
    assert said[2].endswith('channel.0.retries: is "two", but must be a whole number; it is written as retries = 2')
    assert 'plan.0.at: "24:05" is no time of day' in said[3]
    assert 'plan.0.channels.0: there is no channel "vilage-1"; did you mean "village-1"?' in said[4]


V1 = 'name = "village-1"\n'
TOPICS = 'topics = ["meters/+/reading"]'
LINK = 'link = "tcp://127.0.0.1:8021"'
PLAN = 'at = "00:05"'


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "format = 1",
            "format = 2",
            "collector.toml:1: format: this file says 2; this version of chaobiao reads format 1",
        ),
        ("format = 1", "format =", "collector.toml:1: not TOML"),
        (
            "format = 1",
            'format = 1\n[site]\nzone = "Asia/Shangai"',
            ':3: site.zone: "Asia/Shangai" is no time zone; did you mean "Asia/Shanghai"?',
        ),
        ("format = 1", 'format = 1\n[site]\nzone = "Asia"', '"Asia" is no time zone'),
        (
            "format = 1",
            'format = 1\n[site]\nprofiles_d = "nowhere"',
            "site.profiles_d: there is no folder place/nowhere",
        ),
        ("format = 1", "format = 1\nchanel = 1", 'unknown key "chanel"; did you mean "channel"?'),
        ("[storage]", "[storag]", "storage: is missing; it is written as [storage]"),
        ("sqlite:///chaobiao.db", "sqlite:///:memory:", "would forget everything"),
        ("sqlite:///chaobiao.db", "postgresql://host/db", "PostgreSQL is not built into this version"),
        ("sqlite:///chaobiao.db", "chaobiao.db", '"chaobiao.db" is no database; write it as sqlite:///chaobiao.db'),
        ('"meters.csv"', "7", 'registry.file: is 7, but must be text in quotes, as in "meters.csv"'),
        ("[[channel]]", "[channel]", "collector.toml:10: not TOML"),
        (V1, "", ':6: channel.0.name: is missing; it is written as name = "village-1"'),
        (V1, 'name = ""\n', '"" is no name'),
        (V1, 'name = "broker"\n', 'channel.2.name: "broker" is the name of channel.0 already'),
        (LINK, 'link = "udp://127.0.0.1:8021"', "is no link"),
        (LINK, 'link = "tcp://127.0.0.1"', "names no port; write it as tcp://host:port"),
        (LINK, 'link = "tcp://127.0.0.1:99999"', "channel.0.link: "),
        (LINK, 'link = "tcp://u:p@127.0.0.1:8021"', "a link holds no user and no password"),
        (LINK, 'link = "tcp://127.0.0.1:8021?baudrate=2400"', "tcp:// knows no option 'baudrate'; it takes no options"),
        (LINK, 'link = "serial:///dev/ttyUSB0?baudrat=2400"', 'did you mean "baudrate"?'),
        (LINK, 'link = "serial:///dev/ttyUSB0?parity=X"', "parity=X: N (none), E (even)"),
        (LINK, 'link = "serial://"', "names no device"),
        (
            LINK,
            'link = "mqtt://127.0.0.1"',
            "channel.0.link: dlt645 cannot go over mqtt://; it goes over serial://, tcp://",
        ),
        (LINK, LINK + '\ntimeout = "1 s"', "channel.0.timeout: '1 s' is no duration"),
        (LINK, LINK + "\ntimeout = 1", 'channel.0.timeout: is 1, but must be text in quotes, as in "10ms"'),
        (LINK, LINK + '\ntimeout = "1h"', "1h is out of range; it may be 10ms to 5m"),
        (LINK, LINK + '\nworst_reply = "500ms"', "channel.0.worst_reply: 500ms is shorter than the timeout, 1s"),
        (LINK, LINK + "\nretries = -1", "channel.0.retries: is -1, but must be at least 0"),
        (LINK, LINK + "\nretries = 2.5", "channel.0.retries: is 2.5"),
        (LINK, LINK + "\necho = 1", "channel.0.echo: is 1, but must be true or false"),
        (LINK, LINK + '\ntopics = ["a/b"]', "channel.0.topics: has no meaning on tcp://; it belongs to mqtt://"),
        (LINK, LINK + '\nidentity = "4712"', "channel.0.identity: has no meaning on tcp://; it belongs to listen://"),
        (
            LINK,
            'link = "listen://0.0.0.0:9001"',
            "channel.0.identity: is missing; a device that dials in is known by it",
        ),
        ('topics = ["meters/+/reading"]', "", "channel.2.topics: is missing"),
        ('topics = ["meters/+/reading"]', 'topics = "m/#"', 'channel.2.topics: is "m/#", but must be a list'),
        ('topics = ["meters/+/reading"]', 'topics = ["meters/a+/reading"]', "channel.2.topics.0: "),
        ('topics = ["meters/+/reading"]', 'topics = ["m/#"]\npassword_file = "x"', "a password needs a username"),
        (LINK, LINK + '\nack = "m/{sender}/ack"', "channel.0.ack: has no meaning on tcp://; it belongs to mqtt://"),
        (TOPICS, TOPICS + '\nack = "meters/ack"', 'channel.2.ack: "meters/ack" is no topic with one level {sender}'),
        (TOPICS, TOPICS + '\nresend = "m/x{sender}"', "channel.2.resend: "),
        (TOPICS, TOPICS + '\nresend = "m/+/{sender}"', "channel.2.resend: "),
        (
            TOPICS,
            TOPICS + '\nack = "meters/{sender}/reading"',
            'channel.2.ack: is heard by our own topic "meters/+/reading"; concentrators need one of their own',
        ),
        (
            'topics = ["meters/+/reading"]',
            'topics = ["m/#"]\nack = "m/{sender}/ack"',
            'is heard by our own topic "m/#"',
        ),
        (TOPICS, TOPICS + '\ncanary = "meters/+/reading"', "is no topic that one can publish to"),
        (TOPICS, TOPICS + '\ncanary = "meters/us/alarm"', "channel.2.canary: is heard by none of our own topics"),
        (TOPICS, TOPICS + '\nalso = ["nowhere"]', 'channel.2.also.0: there is no other channel "nowhere"'),
        (
            'topics = ["meters/+/reading"]',
            'topics = ["m/#"]\nusername = "u"\npassword_file = "x"',
            "place/x: No such file or directory",
        ),
        (
            'topics = ["meters/+/reading"]',
            'topics = ["m/#"]\npassword = "secret"',
            'unknown key "password"; did you mean "password_file"?',
        ),
        ('["1-0:1.8.0"]', "[]", 'plan.0.read: is empty; it is written as read = ["1-0:1.8.0"]'),
        ('["1-0:1.8.0"]', '["1.8.0"]', "plan.0.read.0: '1.8.0' is no OBIS code"),
        ('["1-0:1.8.0"]', '["1-0:99.8.0"]', "plan.0.read.0: 1-0:99.8.0 is a well-formed OBIS code but no quantity"),
        ('["1-0:1.8.0"]', '["1-0:1.8.0", "1-0:1.8.0"]', "plan.0.read.1: 1-0:1.8.0 stands twice"),
        (
            'basis = "freeze"',
            'basis = "frozen"',
            "did you mean \"freeze\"?; allowed: 'instant', 'freeze', 'settlement' or 'curve'",
        ),
        (PLAN, "", 'plan.0: has no timetable; write at = "00:05" (each day) or every = "15m"'),
        (PLAN, PLAN + '\nevery = "15m"', "plan.0.every: stands beside at"),
        (PLAN, 'every = "400ms"', "400ms is out of range; it may be 1s to 1d"),
        (PLAN, 'every = "1500ms"', "1500ms is no whole number of seconds"),
        ('basis = "freeze"', 'basis = "curve"', 'plan.0.at: is no grid; a curve is written with every = "15m"'),
        (f'basis = "freeze"\n{PLAN}', 'basis = "settlement"\nevery = "1h"', "plan.0.every: has no meaning"),
        (PLAN, PLAN + "\ndays = [1]", 'plan.0.days: has no meaning with basis = "freeze"'),
        ('basis = "freeze"', 'basis = "settlement"\ndays = [31]', "plan.0.days.0: is 31, but must be at most 28"),
        ('["1-0:1.8.0"]', '["clock"]', 'plan.0.read.0: "clock" has no basis; give it a plan of its own'),
        (
            'read = ["1-0:1.8.0"]\nbasis = "freeze"',
            'read = ["1-0:1.8.0*01"]\nbasis = "settlement"',
            "plan.0.read.0: 1-0:1.8.0*01 names a copy; which copy it is, is found by its day: write 1-0:1.8.0",
        ),
        (PLAN, PLAN + '\nwindow = "2d"', "plan.0.window: 2d is out of range; it may be 1s to 1d"),
        (PLAN, PLAN + '\nwindow = "1500ms"', "plan.0.window: 1500ms is no whole number of seconds"),
        (
            f'basis = "freeze"\n{PLAN}',
            'every = "15m"\nwindow = "1h"',
            "plan.0.window: 1h is longer than every; a value as it runs is the next slot's by then",
        ),
        (PLAN, PLAN + '\nwindow = "1h"\njitter = "2h"', "plan.0.jitter: 2h is longer than a slot stays open, 1h"),
        (PLAN, PLAN + '\ncutoff = "00:05"', "plan.0.cutoff: 00:05 is before the last meter is asked, at 00:05"),
        (PLAN, PLAN + '\njitter = "2h"\ncutoff = "02:00"', "plan.0.cutoff: 02:00 is before the last meter is asked"),
        (PLAN, "at = 00:05:00", 'plan.0.at: is 00:05:00, but must be text in quotes, as in "00:05"'),
        ('directory = "deliveries"', "", "billing.directory: is missing"),
        ('name = "homes"', 'name = "homes"\nday = 31', "billing.group.0.day: is 31, but must be at most 28"),
        ('name = "homes"', 'name = "homes"\ncutoff = "3d"', "'3d' is no offset; write it with a plus"),
        (
            'name = "homes"',
            'name = "homes"\nrelease = "+2d"',
            "billing.group.0.release: +2d is before the cut-off, +3d",
        ),
        (
            'name = "homes"',
            'name = "homes"\n[clock]\ncorrect = "broadcast"\nat = "10:05"',
            "clock.at: clocks are told the time from ten past to ten to an hour, and not around midnight",
        ),
        (
            'name = "homes"',
            'name = "homes"\n[clock]\ncorrect = "set"\nat = "23:22"',
            "clock.at: clocks are told the time from ten past",
        ),
        (
            'name = "homes"',
            'name = "homes"\n[clock]\ncorrect = "sometimes"',
            'clock.correct: "sometimes" is not known',
        ),
        (
            'name = "homes"',
            'name = "homes"\n[targets]\nread = 101',
            "targets.read: is 101, but must lie between 0 and 100",
        ),
        ('name = "homes"', 'name = "homes"\n[targets]\nread = nan', "targets.read: is NaN"),
        ('name = "homes"', 'name = "homes"\n[targets]\nread = true', "targets.read: is true, but must be a number"),
    ],
)
def test_a_mistake_names_file_line_and_key(old: str, new: str, says: str) -> None:
    assert old in SMALL
    said = mistakes(SMALL.replace(old, new, 1))
    assert all(line.startswith("collector.toml:") for line in said)
    assert says in "\n".join(said)


def test_two_speeds_on_one_serial_line_are_refused() -> None:
    text = SMALL.replace("tcp://127.0.0.1:8021", "serial:///dev/ttyS0?baudrate=2400")
    text = text.replace(
        'link = "tcp://127.0.0.1:1502"\nprotocol = "modbus-tcp"',
        'link = "serial:///dev/ttyS0?baudrate=9600"\nprotocol = "modbus-rtu"',
    )
    assert mistakes(text) == [
        "collector.toml:12: channel.1.link: shares its medium with channel.0 (serial:///dev/ttyS0?baudrate=2400)"
        " and must be set like it"
    ]


def test_questions_in_flight_are_for_modbus_tcp() -> None:
    text = SMALL.replace("127.0.0.1:1502", "127.0.0.1:8021").replace('"modbus-tcp"', '"modbus-tcp"\nin_flight = 4')
    assert mistakes(text) == [
        "collector.toml:14: channel.1.in_flight: shares its medium with channel.0 and must have the same in_flight"
    ]
    wide = settings(SMALL.replace('"modbus-tcp"', '"modbus-tcp"\nin_flight = 4'))
    assert wide.channel("substation").in_flight == 4
    serial = SMALL.replace('"dlt645"', '"dlt645"\nin_flight = 2')
    assert "in_flight: has no meaning for dlt645" in mistakes(serial)[0]


def test_two_echoes_on_one_link_are_refused() -> None:
    text = SMALL.replace("127.0.0.1:1502", "127.0.0.1:8021").replace('"modbus-tcp"', '"modbus-tcp"\necho = true')
    assert mistakes(text) == [
        "collector.toml:14: channel.1.echo: shares its medium with channel.0 and must have the same echo"
    ]


def test_two_callers_on_one_port_are_told_apart_by_identity() -> None:
    listening = 'link = "listen://0.0.0.0:9001"\nidentity = "4712"'
    second = 'link = "tcp://127.0.0.1:1502"\nprotocol = "modbus-tcp"'
    text = SMALL.replace('link = "tcp://127.0.0.1:8021"', listening)
    mixed = text.replace(second, f'{listening}\nprotocol = "modbus-rtu"')  # two protocols on the bus of one modem
    assert settings(mixed).channel("substation").medium == settings(mixed).channel("village-1").medium
    two_hearts = mixed.replace('"modbus-rtu"', '"modbus-rtu"\nheartbeat = "hex:FE"')
    assert "channel.1.heartbeat: shares its medium with channel.0" in mistakes(two_hearts)[0]
    text = text.replace(second, f'{listening}\nprotocol = "dlt645"')
    assert '"4712" is the identity of channel.0 on this port already' in mistakes(text)[0]
    hexed = text.replace("4712", "hex:34 37 31 32", 1)
    assert '"4712" is the identity of channel.0 on this port already' in mistakes(hexed)[0]
    assert settings(text.replace("4712", "hex:34 37 31 33", 1)).channel("village-1").identity == b"4713"


def test_a_missing_file_and_other_bytes_are_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: No such file"):
        load_settings(tmp_path / "none.toml")
    (tmp_path / "gbk.toml").write_bytes("# 电表".encode("gbk"))
    with pytest.raises(SettingsError, match=r"gbk\.toml: is not UTF-8 text"):
        load_settings(tmp_path / "gbk.toml")


def test_a_password_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from file\n", "utf-8")
    text = SMALL.replace('protocol = "mqtt-json"', 'protocol = "mqtt-json"\nusername = "u"\npassword_file = "secret"')
    broker = settings(text, tmp_path).channel("broker")
    assert channel_password(broker, {}) == "from file"
    assert channel_password(broker, {"CHAOBIAO_PASSWORD_BROKER": "from outside"}) == "from outside"
    assert channel_password(settings().channel("broker"), {}) is None


def test_the_table_of_protocols_agrees_with_the_dialects() -> None:
    assert set(DIALECTS) <= set(WAYS)
    assert {name: dialect.family for name, dialect in DIALECTS.items()} == {
        name: WAYS[name].family for name in DIALECTS
    }
