import fcntl
import os
import pathlib
import shutil
import tempfile

import pytest

import harness
from servers import Ca, Exim, HttpServer, webhook_secret


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes over 20 seconds; left out by tests/run.sh --quick")
    config.addinivalue_line("markers", "plain: measures memory or counts of its own; not on a sanitised build")


def pytest_collection_modifyitems(config, items):
    if os.geteuid():
        raise pytest.UsageError("the integration tests make network namespaces and must run as root")


@pytest.fixture(scope="session")
def programs():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="portwatch-test-"))
    directory.chmod(0o755)
    yield harness.Programs(harness.find_build(), directory / "stage")
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def place():
    """A directory that other users may enter (tmp_path is 0700)."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="portwatch-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def hostile_alone():
    """The plugin `hostile` tries to make files of one name: one test at a time looks whether it could."""
    with open(pathlib.Path(tempfile.gettempdir()) / "portwatch-test-hostile.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def netns():
    """Everything after this in the test, servers too, lives in a network namespace of its own."""
    with harness.network_namespace():
        yield


@pytest.fixture
def listeners(programs, place, netns):
    held = harness.Listeners(programs.holder, place)
    yield held
    held.stop_all()


@pytest.fixture
def watch(programs, place, netns):
    """watch(config) -> a running Watch; all of them are stopped, and must stop in order, at the end of the test."""
    watches = []

    def start(config=harness.FAST, started=True, **options):
        one = harness.Watch(programs, place / f"watch{len(watches)}", config, **options)
        watches.append(one)
        return one.start() if started else one

    yield start
    trouble = []
    for one in watches:
        if one.process:
            try:
                one.stop()
            except AssertionError as error:
                trouble.append(error)
        if one.log():
            print(f"---- log of {one.directory.name}\n{one.log()[-6000:]}")
    if trouble:
        raise trouble[0]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def mail(netns, authority):
    """A real mail server that demands STARTTLS and AUTH, inside the test's namespace."""
    with Exim(authority) as server:
        yield server


@pytest.fixture
def hook(netns):
    """An HTTP server for webhooks; .secret as configured, .key to check signatures with."""
    with HttpServer() as server:
        server.secret, server.key = webhook_secret()
        yield server
