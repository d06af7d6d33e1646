"""A run whose every text tries to be more than text."""

from typing import Final

from sample import id_of

from runledger import RunLedger

HOSTILE: Final = id_of("run", "hostile")
LINE: Final = "x" * (1 << 20)
ATTACKS: Final = (
    "<script>window.hit = 1</script>",
    '"><img src=x onerror="window.hit = 1">',
    "<svg onload=window.hit=1><script>window.hit=1</script></svg>",
    "<iframe srcdoc='<iframe src=javascript:parent.hit=1>'></iframe>",
    "[click](javascript:window.hit=1)",
    "javascript:window.hit=1",
    "{{ 7 * 191 }}{% raw %}",
    "' onmouseover='window.hit=1",
    "</textarea></pre></title><script>window.hit=1</script>",
)
TURNED: Final = "safe\u202egnp.exe"
COLOURED: Final = "\x1b[31mred\x1b[0m"
ALL: Final = "\n".join((*ATTACKS, TURNED, COLOURED))


async def make_hostile_run(ledger: RunLedger) -> None:
    """Record the run, with attacks in each field that takes a free text."""
    await ledger.create_run(
        "agent-rich",
        run_id=HOSTILE,
        project_id=ATTACKS[1],
        conversation_id="conv-hostile",
        base_template_id=ATTACKS[0],
        metadata={ATTACKS[0]: ALL},
        request_config={"use_assistant_message": True, "x": ALL},
    )
    await ledger.record_messages(
        HOSTILE, [{"role": "user", "content": ALL}, {"role": "user", "content": LINE}]
    )
    call = {"id": ATTACKS[7], "function": {"name": ATTACKS[0], "arguments": ALL}}
    back = {"tool_call_id": ATTACKS[7], "status": "error", "func_response": ALL}
    await ledger.record_step(
        HOSTILE,
        provider=ATTACKS[2],
        model=ATTACKS[1],
        tags=[ATTACKS[4]],
        prompt_tokens=3,
        completion_tokens=4,
        messages=[
            {"role": "assistant", "content": ALL, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": ATTACKS[7], "tool_returns": [back]},
        ],
    )
    await ledger.fail_run(HOSTILE, error_type=ATTACKS[8], error_message=ALL)
