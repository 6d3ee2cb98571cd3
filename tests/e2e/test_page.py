"""The web page, clicked through in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import BROWSER, DRIVER, Browser
from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite, ours_only

pytestmark = [ours_only, pytest.mark.skipif(not (DRIVER and BROWSER), reason="chromium and chromedriver are not installed")]

PREFIX = "Page"
COUNTER = f"{PREFIX}Counter"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    running = Endpoint("tests.e2e.services:app", tmp_path_factory.mktemp("page"), prefix=PREFIX)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    running = Browser(tmp_path_factory.mktemp("browser"))
    try:
        yield running
    finally:
        running.close()


def test_a_deployment_is_registered_shown_and_removed(suite: Suite, browser: Browser, tmp_path: Path) -> None:
    removed = Endpoint("tests.e2e.services:app", tmp_path, prefix="PageGone")
    try:
        removed.start()
        browser.open(f"{suite.admin_url}/")
        browser.click("//nav/a[.='Deployments']")
        browser.write("//input[@name='uri']", removed.url)
        browser.click("//button[.='Register']")
        browser.wait_for("PageGoneCounter", within="//main")
        browser.click(f"//a[contains(., '{removed.url}')]")
        browser.wait_for("in use")
        browser.click("//button[.='Remove']")
        browser.accept()
        eventually(lambda: "PageGoneCounter" not in browser.text("//main"), "it is gone from the list")
    finally:
        removed.stop()
    assert suite.http.get(f"{suite.admin_url}/services/PageGoneCounter").status_code == 404


def test_a_handler_is_called_and_its_state_edited(suite: Suite, browser: Browser, endpoint: Endpoint, tag: str) -> None:
    suite.register(endpoint.url)
    browser.open(f"{suite.admin_url}/ui/#/services/{COUNTER}")
    browser.wait_for("VirtualObject")
    browser.click("//select[@name='handler']/option[.='add']")
    browser.write("//input[@name='key']", tag)
    browser.write("//textarea[@name='body']", "3")
    browser.click("//button[.='Call']")
    browser.wait_for("200\n3", within="//pre[@id='result']")
    browser.open(f"{suite.admin_url}/ui/#/state?service={COUNTER}&key={tag}")
    browser.write("//tbody//textarea", "44")
    browser.click("//button[.='Save']")
    browser.wait_for("Stored")
    eventually(lambda: suite.result(f"/{COUNTER}/{tag}/get") == 44, "the handler reads what was written")
    suite.result(f"/{COUNTER}/{tag}/add", 1)
    browser.click("//button[.='Save']")
    browser.wait_for("A handler has changed the state meanwhile", within="//div[@id='notice']")
    assert suite.result(f"/{COUNTER}/{tag}/get") == 45


def test_invocations_are_filtered_opened_and_operated(suite: Suite, browser: Browser, endpoint: Endpoint, tag: str) -> None:
    suite.register(endpoint.url)
    invocation = suite.send(f"/{PREFIX}Sleeper/nap", {"tag": tag, "ms": 3_600_000})
    endpoint.wait_for_effect(f"{tag}-attempts", "asleep")
    browser.open(f"{suite.admin_url}/ui/#/invocations")
    browser.click(f"//select[@name='service']/option[.='{PREFIX}Sleeper']")
    browser.click("//button[.='Show']")
    browser.click(f"//a[.='{invocation}']")
    browser.wait_for("Command: Sleep")
    browser.click("//button[.='Cancel']")
    browser.wait_for("failure", within="//h1")
    browser.click("//button[.='Purge']")
    browser.accept()
    eventually(lambda: suite.http.get(f"{suite.ingress_url}/restate/output/{invocation}").status_code == 404, "it is purged")


def test_the_page_of_an_invocation_follows_it(suite: Suite, browser: Browser, endpoint: Endpoint, tag: str) -> None:
    suite.register(endpoint.url)
    invocation = suite.send(f"/{PREFIX}Sleeper/nap", {"tag": tag, "ms": 3_600_000})
    endpoint.wait_for_effect(f"{tag}-attempts", "asleep")
    browser.open(f"{suite.admin_url}/ui/#/invocations/{invocation}")
    browser.wait_for("Command: Sleep")
    browser.click("//tr[contains(., 'Command: Input')]//summary")
    suite.http.patch(f"{suite.admin_url}/invocations/{invocation}/cancel").raise_for_status()
    browser.wait_for("failure", within="//h1")
    assert '"Input"' in browser.text("//tr[contains(., 'Command: Input')]//details[@open]"), "what was opened stays open"


def test_a_statement_is_run_and_what_is_wrong_with_it_told(suite: Suite, browser: Browser, endpoint: Endpoint) -> None:
    suite.register(endpoint.url)
    browser.open(f"{suite.admin_url}/ui/#/sql")
    browser.write("//textarea[@name='sql']", f"SELECT name, ty FROM sys_service WHERE name = '{COUNTER}'")
    browser.click("//button[.='Run']")
    browser.wait_for("virtual_object", within="//div[@id='rows']")
    browser.write("//textarea[@name='sql']", "SELECT * FROM nowhere")
    browser.click("//button[.='Run']")
    browser.wait_for("nowhere' not found", within="//div[@id='notice']")
    assert browser.text("//div[@id='rows']") == ""
    browser.click("//nav/a[.='Services']")
    browser.wait_for("Services", within="//h1")
    assert "nowhere" not in browser.text("//div[@id='notice']")


def test_a_slow_page_does_not_replace_a_later_one(suite: Suite, browser: Browser, endpoint: Endpoint) -> None:
    suite.register(endpoint.url)
    browser.open(f"{suite.admin_url}/ui/#/sql")
    browser.wait_for("SQL", within="//h1")
    browser.run(
        "performance.clearResourceTimings(); location.hash = '#/invocations';"
        "await new Promise(done => setTimeout(done)); location.hash = '#/services'"
    )
    browser.wait_for("Services", within="//h1")
    settled = "return performance.getEntriesByName(location.origin + '/query').length"
    eventually(lambda: browser.run(settled), "the slow page has got its answer")
    assert browser.text("//h1") == "Services"
