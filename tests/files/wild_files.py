"""Ten files in the style of those that people have, made here; `python tests/files/wild_files.py` writes them anew.

Only Python's own generator is used, whose numbers are the same everywhere. Each file hides one anomaly; all else in it
that looks odd is the way such files are written.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from made import workbook

FOLDER = Path(__file__).parent / "wild"
ROWS = 200
PLANTED = 137  # the row that is anomalous, of those that the source has
START = dt.datetime(2025, 3, 1)


def generator(name: str) -> random.Random:
    return random.Random(name)


def german(value: float, decimals: int = 2) -> str:
    return f"{value:,.{decimals}f}".translate(str.maketrans(",.", ".,"))


def sales() -> str:
    """Out of a German book-keeping program: decimal commas, points between thousands, euros, the day first."""
    rng = generator("sales")
    lines = ["Belegnr;Datum;Filiale;Betrag;Rabatt"]
    for row in range(ROWS):
        amount = 98_765.0 if row == PLANTED else rng.gauss(1500, 250)
        rebate = "" if row % 23 == 7 else f"{german(rng.choice([0, 2.5, 5]), 1)} %"
        day = (START + dt.timedelta(days=row)).strftime("%d.%m.%Y")
        lines.append(f"R-2025-{row:04d};{day};{rng.choice(['Köln', 'Berlin', 'Mainz'])};{german(amount)} €;{rebate}")
    return "\r\n".join(lines) + "\r\n"


def sensor() -> str:
    """Out of a data logger: a row of units below the names, words where a reading failed."""
    rng = generator("sensor")
    lines = ["time,temperature,pressure,humidity,state", "UTC,°C,hPa,%,"]
    for row in range(ROWS):
        pressure = 1310.0 if row == PLANTED else rng.gauss(1013, 3)
        temperature = "ERR" if row % 67 == 11 else f"{rng.gauss(21, 0.8):.2f}"
        moment = (START + dt.timedelta(minutes=10 * row)).isoformat(sep=" ")
        lines.append(f"{moment},{temperature},{pressure:.1f},{rng.gauss(45, 4):.0f},{rng.choice(['ok', 'idle'])}")
    return "\n".join(lines) + "\n"


def bank() -> str:
    """Out of a bank: lines on the account above the names, dollars, negative in parentheses, a total below the rows."""
    rng = generator("bank")
    lines = ["Account statement", "Checking account 0042, 01/01/2025 to 12/31/2025", "", "Date,Description,Amount,Fee"]
    total = 0.0
    for row in range(ROWS):
        amount = -47_000.0 if row == PLANTED else round(rng.gauss(-60, 25), 2)
        total += amount
        day = (dt.datetime(2025, 1, 1) + dt.timedelta(days=1.8 * row)).strftime("%m/%d/%Y")
        shop = rng.choice(["Grocer, Main St", "Fuel", "Pharmacy"])
        fee = rng.choice([0.0, 0.25, 0.5])
        lines.append(f'{day},"{shop}","{dollars(amount)}",{dollars(fee)}')
    lines.append(f'Total,,"{dollars(total)}",')
    return "\n".join(lines) + "\n"


def dollars(value: float) -> str:
    return f"(${-value:,.2f})" if value < 0 else f"${value:,.2f}"


def cultivars() -> str:
    """Out of an archive of data sets: semicolons, no names, question marks where there is nothing."""
    rng = generator("cultivars")
    lines = []
    for row in range(ROWS):
        acid = 9.9 if row == PLANTED else rng.gauss(3.2, 0.15)
        sugar = "?" if row % 31 == 4 else f"{rng.gauss(6, 1.1):.1f}"
        lines.append(f"{rng.randint(1, 3)};{rng.gauss(13, 0.6):.2f};{acid:.2f};{sugar};{rng.gauss(98, 9):.0f}")
    return "\n".join(lines) + "\n"


def stock() -> str:
    """Out of Excel, as "CSV UTF-8": a byte order mark, `sep=`, an empty column at the end, errors of formulas."""
    rng = generator("stock")
    lines = ["sep=;", "Article;Shelf;Price;Pieces;Per piece;"]
    for row in range(ROWS):
        pieces = 0 if row % 41 == 3 else rng.randint(5, 60)
        price = 50.0 if row == PLANTED else rng.gauss(400, 40)
        share = "#DIV/0!" if pieces == 0 else f"{price / pieces:.3f}"
        lines.append(f"{row + 20_250:08d};{rng.choice('ABC')};{price:.2f};{pieces};{share};")
    return "\ufeff" + "\r\n".join(lines) + "\r\n"


def conn() -> str:
    """Out of Zeek, which watches networks: names, types and what is unset in lines that begin with #."""
    rng = generator("conn")
    head = [
        r"#separator \x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn",
        "#open\t2025-03-01-00-00-00",
        "#fields\tts\tuid\tid.orig_h\tproto\tservice\tduration\torig_bytes\tresp_bytes",
        "#types\ttime\tstring\taddr\tenum\tstring\tinterval\tcount\tcount",
    ]  # fmt: skip
    lines = []
    for row in range(ROWS):
        sent = 900_000_000 if row == PLANTED else round(rng.gauss(3000, 500))
        idle = row % 3 == 1 and row != PLANTED
        duration, down = ("-", "-") if idle else (f"{rng.expovariate(0.5):.6f}", f"{round(rng.gauss(9000, 900))}")
        values = [
            f"{START.timestamp() + 17.25 * row:.6f}", f"C{rng.getrandbits(64):016x}", f"10.0.0.{rng.randint(2, 9)}",
            rng.choice(["tcp", "udp"]), rng.choice(["dns", "ssl", "-"]), duration, "0" if idle else str(sent), down,
        ]  # fmt: skip
        lines.append("\t".join(values))
    return "\n".join([*head, *lines, "#close\t2025-03-01-02-00-00"]) + "\n"


def flows() -> str:
    """Out of a tool that sums up network flows, as CIC-IDS has them: blanks before names, Infinity and NaN."""
    rng = generator("flows")
    lines = ["Flow ID, Destination Port, Flow Duration, Total Fwd Packets, Flow Bytes/s, Label"]
    for row in range(ROWS):
        duration = 0 if row in (20, 90) else round(rng.gauss(80_000, 9_000))
        packets = 9_000 if row == PLANTED else rng.randint(1, 12)
        rate = {20: "Infinity", 90: "NaN"}.get(row) or f"{1e6 * packets * 60 / duration:.4f}"
        label = "DDoS" if row == PLANTED else "BENIGN"
        lines.append(f"192.168.10.{row}-443-6,{rng.choice([53, 80, 443])},{duration},{packets},{rate},{label}")
    return "\n".join(lines) + "\n"


def requests() -> str:
    """Out of a web service: an object per line, some in others, some keys only now and then."""
    rng = generator("requests")
    lines = []
    for row in range(ROWS):
        took = 60_000.0 if row == PLANTED else round(rng.gauss(120, 15), 1)
        one = {
            "time": (START + dt.timedelta(seconds=31 * row)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "request": {"method": rng.choice(["GET", "POST"]), "bytes": rng.randint(200, 900)},
            "status": rng.choice([200, 200, 200, 304]),
            "took_ms": took,
            "user": None if row % 5 == 0 else {"id": f"u{rng.randint(1, 6)}"},
            "tags": rng.choice([["web"], ["web", "beta"]]),
        }
        lines.append(json.dumps(one | ({"retry": True} if row % 4 == 0 else {}), separators=(",", ":")))
    return "\n".join(lines) + "\n"


def orders(path: Path) -> None:
    """Out of a data lake: columns of a dictionary, of structs, of lists; exact decimals, times with a zone."""
    rng = generator("orders")
    price = [7_777_00 if row == PLANTED else rng.randint(18_00, 22_00) for row in range(ROWS)]
    stock = [{"city": rng.choice(["Oslo", "Lund"]), "box": {"kg": rng.gauss(2, 0.2)}} for _ in range(ROWS)]
    table = pa.table(
        {
            "order": pa.array(range(70_000_000_001, 70_000_000_001 + ROWS), pa.int64()),
            "channel": pa.array([rng.choice(["web", "shop"]) for _ in range(ROWS)]).dictionary_encode(),
            "price": pa.array([f"{cents / 100:.2f}" for cents in price]).cast(pa.decimal128(10, 2)),
            "sent": pa.array([START + dt.timedelta(hours=5 * row) for row in range(ROWS)], pa.timestamp("us", "UTC")),
            "from": pa.array(stock),
            "items": pa.array([[rng.randint(1, 9)] * rng.randint(1, 3) for _ in range(ROWS)]),
            "paid": pa.array([None if row % 29 == 0 else rng.random() < 0.9 for row in range(ROWS)]),
        }
    )
    pq.write_table(table, path)


def dump() -> str:
    r"""Out of a database, by COPY ... TO ... (HEADER): tabs, and \N for null."""
    rng = generator("dump")
    lines = ["id\tcreated\tplan\tusage\tquota\tnote"]
    for row in range(ROWS):
        usage = "-52000.5" if row == PLANTED else f"{rng.gauss(800, 60):.1f}"
        quota = r"\N" if row % 2 else str(rng.choice([1000, 2000]))
        note = r"\N" if row % 7 else "moved"
        created = (START + dt.timedelta(days=row)).isoformat(sep=" ") + "+00"
        lines.append(f"{row + 1:07d}\t{created}\t{rng.choice(['free', 'team'])}\t{usage}\t{quota}\t{note}")
    return "\n".join(lines) + "\n"


def plants(path: Path) -> None:
    """Out of Excel itself: a title, an empty line, dates, a sheet that is empty."""
    rng = generator("plants")
    rows: list[list[object]] = [["Green house, spring"], [], ["Planted", "Bed", "Height", "Leaves"]]
    for row in range(ROWS):
        height = 480.0 if row == PLANTED else round(rng.gauss(62, 5), 1)
        rows.append([(START + dt.timedelta(days=row % 90)).date(), rng.choice("AB"), height, rng.randint(8, 14)])
    workbook(path, {"Plants": rows, "Notes": []})


TEXTS: dict[str, Callable[[], str]] = {
    "sales.csv": sales, "sensor.csv": sensor, "bank.csv": bank, "cultivars.data": cultivars, "stock.csv": stock,
    "conn.log": conn, "flows.csv": flows, "requests.jsonl": requests, "dump.tsv": dump,
}  # fmt: skip
OTHERS: dict[str, Callable[[Path], None]] = {"orders.parquet": orders, "plants.xlsx": plants}


def make(name: str, folder: Path) -> Path:
    """Write one of the files."""
    path = folder / name
    if name in TEXTS:
        path.write_bytes(TEXTS[name]().encode())
    else:
        OTHERS[name](path)
    return path


if __name__ == "__main__":
    for each in TEXTS:
        make(each, FOLDER)
