"""`stedi up` ingests the uploads of S3 clients and keeps every event when it ends."""

import http.client
import json
import random
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from comparison import assert_equal_lakes
from conftest import Ingestion
from lake import Lake
from landing import Village
from up import Up, command, keys_of, until


def refused(arguments: list[str]) -> str:
    """Runs a command that must fail. Returns its error text."""
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert not done.stdout
    assert "panicked" not in done.stderr
    return done.stderr


def row_counts(receipt: dict) -> str:
    """Returns the row counts in the line about a landing file."""

    def reasons(counts: dict[str, int]) -> str:
        return f" ({', '.join(f'{reason} {count:,}' for reason, count in counts.items())})" if counts else ""

    return (
        f"{receipt['rows']:,} rows = {receipt['kept']:,} kept"
        f" + {sum(receipt['excluded'].values()):,} excluded{reasons(receipt['excluded'])}"
        f" + {receipt['quarantined']:,} quarantined{reasons(receipt['rejected'])}"
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_uploads_in_any_order_give_the_tables_of_a_run(
    seed: int, generated: Path, ingest_once: Callable[..., Ingestion], lake: Lake
) -> None:
    keys = keys_of(generated)
    random.Random(seed).shuffle(keys)
    with Up(lake) as up:
        up.upload(generated, keys)
        up.wait_until_quiet()
    assert up.process.returncode == 0
    assert_equal_lakes(lake, ingest_once(generated).lake)
    messages = up.messages()
    assert messages.keys() == set(keys)
    receipts = [
        receipt for source in ("customer", "accelerometer", "step_trainer") for receipt in lake.receipts(source)
    ]
    assert len(receipts) == len(keys)
    for receipt in receipts:
        # The only line has the row counts of the receipt, which no later file changes. It ends with the time it took.
        (line,) = messages[receipt["landing"]["key"]]
        assert line.startswith(row_counts(receipt)) and line.endswith(" ms"), (line, receipt)


def test_broken_lines_and_repeated_files_are_reported(first_village: Village, lake: Lake) -> None:
    key = next(key for key in keys_of(first_village.folder) if key.startswith("accelerometer/"))
    body = (first_village.folder / key).read_bytes()
    with Up(lake) as up:
        up.put("customer/landing/broken.json", b"not json\n7\n")
        up.put(key, body)
        up.wait_until_quiet()
        # The second message comes when no event is pending.
        up.put(key, body)
        until(lambda: len(up.messages().get(key, [])) == 2, "a second line")
        up.put("customer/landing/folder/", b"")
        up.wait_until_quiet()
    messages = up.messages()
    counts = "0 kept + 0 excluded + 2 quarantined (not_an_object 1, not_json 1)"
    assert counts in messages["customer/landing/broken.json"][0]
    assert messages[key][1:] == ["ingested before, nothing to do"]
    assert len(messages) == 2


def test_printed_exports_are_shell_commands(lake: Lake) -> None:
    with Up(lake, "--bucket", "another-lake") as up:
        script = 'eval "$(cat "$1")" && echo "$AWS_ENDPOINT_URL $LAKE_BUCKET $GLUE_DATABASE $CONSENT_POLICY $PAIRS $HASH_KEY"'
        done = subprocess.run(
            ["sh", "-c", script, "sh", up.output], capture_output=True, text=True, check=True, timeout=60
        )
        host, port = up.address
        key = (lake.folder / "hash_key").read_text()
        assert done.stdout == f"http://{host}:{port} another-lake stedi ever same-instant {key}"
        assert host == "127.0.0.1"
        expected = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"}
        expected |= {"CUSTOMER_SHARDS", "SLICES_PER_HOUR"}
        assert up.environment.keys() >= expected
        assert up.request("HEAD", "/another-lake")[0] == 200


def test_without_functions_no_table_is_written(first_village: Village, lake: Lake) -> None:
    keys = keys_of(first_village.folder)
    with Up(lake, "--no-functions") as up:
        up.upload(first_village.folder, keys)
        assert up.request("GET", f"/stedi/{keys[0]}")[1] == (first_village.folder / keys[0]).read_bytes()
        headers = {"x-amz-target": "AWSGlue.GetTables"}
        status, answer = up.request("POST", "/", json.dumps({"DatabaseName": "stedi"}).encode(), **headers)
        assert status == 200, answer
        assert {"customer_landing", "machine_learning_curated"} <= {
            table["Name"] for table in json.loads(answer)["TableList"]
        }
    assert not lake.undelivered()
    assert set(lake.versions()) == {*keys, "_state/lake.json"}
    # `stedi run` ingests them afterwards.
    lake.run(first_village.folder)
    assert len(list(lake.receipts("accelerometer"))) == len([key for key in keys if key.startswith("accelerometer/")])


def test_requests_must_be_signed(lake: Lake) -> None:
    with Up(lake, "--no-functions") as up:
        connection = http.client.HTTPConnection(*up.address, timeout=60)
        connection.request("PUT", "/stedi/key", b"")
        assert connection.getresponse().status == 403
        connection.close()
        assert up.request("HEAD", "/stedi/key")[0] == 404


def test_used_port_is_refused(lake: Lake) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        error = refused(command(lake, "--port", port))
    assert f"port {port} is taken" in error
    assert "--port" in error
    assert not lake.folder.exists()


def test_lake_in_use_is_refused(lake: Lake, first_village: Village) -> None:
    with Up(lake) as up:
        for arguments in (command(lake, "--port", 0), lake.command(first_village.folder)):
            error = refused(arguments)
            holder = f"`stedi up` (pid {up.process.pid}, port {up.address[1]})"
            assert f"lake {lake.folder} is in use by {holder}" in error


def test_tables_of_a_lake_in_use_are_shown(lake: Lake, first_village: Village) -> None:
    arguments = [str(lake.binary), "tables", "--json", "--lake", str(lake.folder)]
    with Up(lake) as up:
        up.upload(first_village.folder, keys_of(first_village.folder))
        up.wait_until_quiet()
        asked = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    opened = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(asked.stdout) == json.loads(opened.stdout)
    assert json.loads(asked.stdout)["tables"]["customer_trusted"]["rows"] > 0


def test_sigquit_shows_the_tables(lake: Lake) -> None:
    with Up(lake) as up:
        up.process.send_signal(signal.SIGQUIT)
        until(lambda: "machine_learning_curated" in up.output.read_text(), "the tables")
    assert up.process.returncode == 0


def test_lake_of_other_settings_is_refused(lake: Lake) -> None:
    with Up(lake):
        pass
    lake.consent = "at-reading"
    error = refused(command(lake, "--port", 0))
    assert "has the consent policy ever, but --consent says at-reading" in error
    lake.consent, lake.pairs = "ever", "same-customer"
    error = refused(command(lake, "--port", 0))
    assert "has the pairs same-instant, but --pairs says same-customer" in error
    lake.pairs = "same-instant"
    error = refused(command(lake, "--port", 0, "--shards", 5))
    assert "has the customer shards 16, but --shards says 5" in error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_while_clients_are_connected(number: int, first_village: Village, lake: Lake) -> None:
    up = Up(lake)
    with socket.create_connection(up.address), socket.create_connection(up.address) as idle:
        # One connection never sends anything; the other one is kept alive.
        idle.sendall(up.head("HEAD", "/stedi"))
        assert idle.recv(12) == b"HTTP/1.1 200"
        up.upload(first_village.folder, keys_of(first_village.folder))
        assert up.end(number) == 0
    tables = [str(part) for part in (lake.binary, "tables", "--lake", lake.folder)]
    assert "customer_trusted" in subprocess.run(tables, capture_output=True, text=True, check=True, timeout=60).stdout
    # The next start delivers the undelivered events.
    if lake.undelivered():
        assert "deliveries are left" in up.errors.read_text()
    with Up(lake) as again:
        again.wait_until_quiet()
    lake.run(first_village.folder)


def test_second_interruption_aborts_uploads(lake: Lake) -> None:
    up = Up(lake)
    with socket.create_connection(up.address) as uploading:
        uploading.sendall(up.head("PUT", "/stedi/customer/landing/a.json", b"123456789") + b"1")
        until(lambda: any((lake.folder / ".emulator" / "tmp").iterdir()), "the upload to begin")
        up.process.send_signal(signal.SIGINT)
        until(lambda: "stopping" in up.errors.read_text(), "the end to begin")
        assert up.process.poll() is None
        assert up.end() == 0


@pytest.mark.parametrize("uploads", [1, 6, 13])
def test_undelivered_events_of_a_killed_process_are_delivered(
    uploads: int, generated: Path, ingest_once: Callable[..., Ingestion], lake: Lake
) -> None:
    keys = keys_of(generated)
    random.Random(uploads).shuffle(keys)
    up = Up(lake)
    up.upload(generated, keys[:uploads])
    assert up.end(signal.SIGKILL) == -signal.SIGKILL
    assert lake.undelivered(), "the kill left no undelivered event"
    with Up(lake) as again:
        again.wait_until_quiet()
        again.upload(generated, keys[uploads:])
        again.wait_until_quiet()
    assert_equal_lakes(lake, ingest_once(generated).lake)


def test_failed_event_is_reported_and_stays_undelivered(lake: Lake, first_village: Village) -> None:
    with Up(lake) as up:
        up.put("customer/trusted/no-shard", b"")
        until(lambda: up.errors.read_text().count("failed: ") == 2, "both functions to fail")
        up.upload(first_village.folder, ["customer/landing/customers-0.json"])
        until(lambda: "customer/landing/customers-0.json" in up.messages(), "another file to be ingested")
    assert up.process.returncode == 0
    error = up.errors.read_text()
    for function in ("customer_curated", "accelerometer_trusted"):
        assert f"failed: {function} on s3://stedi/customer/trusted/no-shard, 5 times" in error
    assert "deliveries are left" in error
    assert lake.undelivered()
