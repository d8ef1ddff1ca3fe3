"""Why a port closed, where there is no systemd to ask: what can be known is said, and what cannot be as well."""

from harness import config_text, hook_section, kinds, learned_everywhere, posted_events, wait_until


def closed_event(hook, port):
    def found():
        return [e for e in posted_events(hook) if e.get("subject") == f"tcp/{port}" and e["data"]["change"] == "closed"]
    return wait_until(found, 15)[0]


def test_a_process_that_ended(watch, listeners, hook):
    ports = range(8080, 8090)
    held = [listeners.start(f"tcp@0.0.0.0@{port}", name="web") for port in ports]
    watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    for port, ended in zip(ports, held):
        listeners.stop(ended)
        cause = closed_event(hook, port)["data"]["cause"]
        # no answer within two seconds is told as such, and is no matter here
        if cause and "in time" not in (cause["missing"] or ""):
            break
    assert cause["process"] == "gone", cause
    assert cause["state"] is None and cause["result"] is None, "there is no systemd here to know"
    assert cause["summary"], cause
    assert "journal" not in cause, "a webhook gets no journal lines unless it asks for them"


def test_a_cause_program_that_is_not_there_costs_nothing_but_the_cause(watch, listeners, hook):
    held = listeners.start("tcp@0.0.0.0@8080", name="web")
    running = watch(config_text({}, hook_section(hook)), arguments=["--cause-program", "/nonexistent"])
    learned_everywhere(hook)
    listeners.stop(held)
    event = closed_event(hook, 8080)
    assert event["data"]["cause"] is None or event["data"]["cause"]["missing"], event["data"]["cause"]
    assert ("opened", "tcp/8080") in kinds(posted_events(hook)), running.tail()


def test_a_second_program_on_the_port_says_nothing_untrue_of_the_first(watch, listeners, hook):
    listeners.start("tcp@0.0.0.0@8080@reuseport", name="one")
    watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    listeners.start("tcp@0.0.0.0@8080@reuseport", name="two")
    wait_until(lambda: kinds(posted_events(hook)), 60, "told")
    data = posted_events(hook)[-1]["data"]
    assert data["change"] == "owner", data
    cause = data["cause"]
    assert not cause or cause["process"] in ("alive", None), cause
    assert not cause or "closed the socket" not in (cause["summary"] or ""), cause
