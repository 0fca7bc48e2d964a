"""The child of the transcriber: it dies, hangs and rests, and the next question is answered."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from core.settings import Settings
from tests.polling import until
from tests.transcripts.fake_hub import serving
from tests.transcripts.sounds import SPEECH, noise, silence, spoken
from transcripts.engine_process import EngineProcess, Patience
from transcripts.hub import ModelUnknown
from transcripts.installed_models import BUNDLED, ModelMissing, locate
from transcripts.transcriber import RATE, Decoding, ModelUnfit, TranscriberUnavailable

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("whisper")]

ADA, CHIARA = SPEECH / "01-ada.opus", SPEECH / "05-chiara.opus"
SETTINGS = Settings(_env_file=None)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_one_that_is_killed_is_replaced() -> None:
    async with EngineProcess(SETTINGS) as engine:
        await engine.ready()
        first = engine.pid
        assert first is not None
        question = asyncio.create_task(engine.hear(spoken(ADA), Decoding("en")))
        await asyncio.sleep(0)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(TranscriberUnavailable) as refused:
            await question
        assert refused.value.status == 503
        assert engine.pid is None
        assert (await engine.caption(spoken(ADA), "en")).segments
        assert engine.pid != first


async def test_one_that_hangs_is_ended() -> None:
    patience = Patience(question=0.3, per_second_of_sound=0)
    async with EngineProcess(SETTINGS, patience=patience) as engine:
        await engine.ready()
        stopped = engine.pid
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)
        with pytest.raises(TranscriberUnavailable, match="no answer"):
            await engine.languages(silence(1))
        assert not alive(stopped)


async def test_a_question_that_nobody_waits_for_spoils_no_other() -> None:
    async with EngineProcess(SETTINGS) as engine:
        await engine.ready()
        question = asyncio.create_task(engine.hear(spoken(ADA), Decoding("en")))
        await asyncio.sleep(0)
        question.cancel()
        with pytest.raises(asyncio.CancelledError):
            await question
        assert dict(await engine.languages(spoken(ADA)))["en"] > 0.5


async def test_memory_is_given_back_when_nobody_asks() -> None:
    async with EngineProcess(SETTINGS, idle_seconds=0.01) as engine:
        model = await engine.ready()
        pid = engine.pid
        assert pid is not None
        await until(lambda: engine.pid is None and not alive(pid))
        assert engine.model == model
        assert (await engine.caption(spoken(ADA), "en")).segments


async def test_it_ends_with_whoever_asked() -> None:
    """Killed, a parent closes nothing by itself; the kernel closes its pipe."""
    asking = """
import asyncio
from core.settings import Settings
from transcripts.engine_process import EngineProcess

async def main() -> None:
    engine = EngineProcess(Settings(_env_file=None))
    await engine.ready()
    print(engine.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", asking, stdout=PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await until(lambda: not alive(pid))


async def test_without_its_model_it_says_what_to_do(tmp_path: Path) -> None:
    async with EngineProcess(SETTINGS, model=str(tmp_path)) as engine:
        with pytest.raises(TranscriberUnavailable):
            _ = engine.model
        with pytest.raises(ModelMissing, match=r"lacks model\.bin, config\.json") as refused:
            await engine.ready()
        assert refused.value.code == "model_missing"
        assert engine.pid is None


async def test_what_it_cannot_run_on_is_said() -> None:
    settings = Settings(_env_file=None, transcribe_compute_type="int3")
    async with EngineProcess(settings) as engine:
        with pytest.raises(ModelUnfit, match="ENCORE_TRANSCRIBE_COMPUTE_TYPE"):
            await engine.hear(silence(1), Decoding("en"))


@pytest.mark.timeout(300)
async def test_sampling_depends_on_the_seed_alone() -> None:
    """Speech in noise, where greedy decoding is in doubt and Whisper draws words."""
    drowned = spoken(CHIARA)[: 3 * RATE // 2] + noise(1.5, dbfs=-14)
    async with EngineProcess(SETTINGS) as engine:
        first, other, again = [
            await engine.hear(drowned, Decoding("en", seed=seed)) for seed in (1, 2, 1)
        ]
    assert first == again
    assert first != other


async def test_with_the_bundled_model_nothing_is_asked_of_the_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving({}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        async with EngineProcess(SETTINGS) as engine:
            assert (await engine.caption(spoken(ADA), "en")).segments
    assert hub.asked == []


async def test_a_model_of_the_hub_is_fetched_when_it_is_first_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = locate(BUNDLED, SETTINGS.models_folder)
    files = {path.name: path.read_bytes() for path in bundled.folder.iterdir()}
    settings = Settings(_env_file=None, models_dir=tmp_path)
    with serving({"someone/base": files}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        async with EngineProcess(settings, model="someone/base") as engine:
            assert (await engine.ready()).digest == bundled.digest
        asked = len(hub.asked)
        async with EngineProcess(settings, model="someone/base") as engine:
            assert (await engine.caption(spoken(ADA), "en")).segments
        assert len(hub.asked) == asked > 0


async def test_a_model_that_cannot_be_fetched_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(_env_file=None, models_dir=tmp_path)
    with serving({}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        async with EngineProcess(settings, model="someone/base") as engine:
            with pytest.raises(ModelUnknown, match="someone/base could not be downloaded"):
                await engine.ready()
