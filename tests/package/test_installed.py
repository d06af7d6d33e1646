"""The distribution as a user gets it: built, installed into an empty environment, used."""

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.package


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def installed(
    request: pytest.FixtureRequest, built: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The programs of an environment that has the distribution and what it needs."""
    folder = tmp_path_factory.mktemp(request.param)
    (file,) = built.glob("*.whl" if request.param == "wheel" else "*.tar.gz")
    venv.create(folder, with_pip=True)
    constraints = ROOT / "constraints.txt"
    run(
        folder / "bin" / "python", "-m", "pip", "install", "-q", "-c", constraints, file, cwd=folder
    )
    return folder / "bin"


def test_the_demo_runs(installed: Path, tmp_path: Path) -> None:
    assert "completed" in run(installed / "runledger", "demo", cwd=tmp_path)


def test_the_module_is_the_command(installed: Path, tmp_path: Path) -> None:
    told = run(installed / "python", "-m", "runledger", "--version", cwd=tmp_path)
    assert told == run(installed / "runledger", "--version", cwd=tmp_path)


def test_an_extra_that_is_missing_is_named_with_the_right_distribution(
    installed: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [installed / "runledger", "serve"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "pip install 'run-event-ledger[server]'" in done.stderr


def test_what_python_does_not_import_is_there_too(built: Path) -> None:
    tracked = {
        path.relative_to(ROOT).as_posix()
        for package in ("runledger", "projections")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in {".pyc"}
    }
    (wheel,) = built.glob("*.whl")
    assert tracked <= set(zipfile.ZipFile(wheel).namelist())
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert tracked | {"Makefile", "constraints.txt", "README.md", "LICENSE"} <= names
