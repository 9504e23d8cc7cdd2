import subprocess
import sys
from pathlib import Path

from tests.eegfm.locks import CAP, Made, write_lock

ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys
from importlib.machinery import ModuleSpec

HEAVY = {"mne", "dask", "distributed", "duckdb", "deltalake", "braindecode", "sklearn", "matplotlib", "scipy",
         "pandas", "moabb", "skorch", "pyriemann"}


class Blocker:
    # torch asks where packages lie without importing them, so it is the import that fails.
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.split(".")[0] in HEAVY else None

    def create_module(self, spec):
        raise ModuleNotFoundError(f"{spec.name} is blocked", name=spec.name)

    def exec_module(self, module):
        raise AssertionError("never created")


sys.meta_path.insert(0, Blocker())
import eegfm.pretrain
from eegfm.config import PretrainConfig

run_dir = eegfm.pretrain.pretrain(
    PretrainConfig(
        name="bare", lock=sys.argv[1], runs=sys.argv[2], steps=3, accelerator="cpu",
        loader={"batch": 4}, model={"changes": {"depth": 1}},
    )
)
assert not HEAVY & {name.split(".")[0] for name in sys.modules}
print(run_dir)
"""


def test_the_bare_installation_imports_and_pre_trains_from_a_lock(tmp_path):
    made = [Made(person=f"made/P{i}", names=CAP[:5], segments=(2000,)) for i in range(2)]
    lock = write_lock(tmp_path / "lake", made, tile=400)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(lock.path), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bare" / "model" / "model.safetensors").exists()
