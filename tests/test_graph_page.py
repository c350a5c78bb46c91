"""The HTML page of a graph, driven in a browser: what a reader does with it, in headless Chromium.

Nothing that the page holds may run but its own scripts, and the browser's console stays silent.
"""

from __future__ import annotations

import json
import shutil
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from graph_networks import residual

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import ArgumentError
from minigrad.graph import html

HOSTILE = "\"><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>\\\\</script>"
SVG = "{http://www.w3.org/2000/svg}"


def saved(folder: Path, graph: mg.Graph, **options: Any) -> Path:
    path = folder / "graph.html"
    graph.save(path, **options)
    return path


def lenet5() -> mg.Graph:
    return mg.trace(models.create("lenet5"), mg.Spec((1, 1, 32, 32)), backward=True)


class Page:
    """A page in the browser, and what a reader does with it."""

    def __init__(self, driver: Any, path: Path) -> None:
        self.driver = driver
        driver.get(path.as_uri())
        self.until(lambda: self.run("return document.documentElement.dataset.ready"))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def count(self, selector: str) -> int:
        return len(self.driver.find_elements("css selector", selector))

    def until(self, condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + 10
        while not (found := condition()):
            assert time.monotonic() < end, "the page did not get there in 10 seconds"
            time.sleep(0.02)
        return found

    def press(self, keys: str) -> None:
        self.find("#canvas").send_keys(keys)

    def names(self) -> list[str]:
        return self.run("return [...document.querySelectorAll('.g-name')].map(e => e.textContent)")

    def scale(self) -> float:
        return float(self.run("return view.k"))

    def group(self, path: str) -> Any:
        """The box of a module of the forward pass."""
        index = self.run(
            "return graph.groups.find(g => g.path === arguments[0] && !g.backward).id", path
        )
        return self.find(f'.g-box[data-id="{index}"]')

    def panel(self) -> dict[str, str]:
        return self.run(
            "return Object.fromEntries([...document.querySelectorAll('#panel dt')]"
            ".map(e => [e.textContent, e.nextSibling.innerText]))"
        )


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--window-size=1400,900",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.chrome.service.Service(chromedriver))
    yield browser
    browser.quit()


@pytest.fixture
def opened(driver: Any, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens the page of a graph; at the end the console has to be empty."""
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def open_page(graph: mg.Graph, **options: Any) -> Page:
        return Page(driver, saved(tmp_path, graph, **options))

    yield open_page
    assert [line for line in driver.get_log("browser") if line["level"] == "SEVERE"] == []


def test_opens_and_closes_a_module(opened: Callable[..., Page]) -> None:
    page = opened(lenet5())
    page.press("c")
    forward = ["x", "features_detector", "reshape", "classifier", "sum"]
    assert page.names() == [*forward, "classifier", "reshape", "features_detector"]
    page.group("features_detector").find_element("css selector", ".g-toggle").click()
    assert "0: conv2d" in page.names() and "5: sigmoid" in page.names()
    assert "classifier.0" not in page.run("return [...places.keys()].map(i => nameOf(items[i]))")
    page.group("features_detector").find_element("css selector", ".g-toggle").click()
    assert "0: conv2d" not in page.names()


def test_keyboard_opens_the_box_in_focus(opened: Callable[..., Page]) -> None:
    page = opened(lenet5())
    page.press("c")
    page.run("arguments[0].focus()", page.group("classifier"))
    page.driver.switch_to.active_element.send_keys("\n")
    assert page.panel()["Module"] == "classifier"
    page.driver.switch_to.active_element.send_keys("\n")
    assert "1: sigmoid" in page.names()


def test_search_leads_to_a_node_and_its_panel(opened: Callable[..., Page]) -> None:
    page = opened(lenet5())
    page.press("c")
    page.press("/")
    page.driver.switch_to.active_element.send_keys("classifier.2 linear\n")
    panel = page.panel()
    assert panel["Name"] == "classifier.2.linear"
    assert panel["Op"] == "linear"
    assert panel["Module"] == "lenet5.classifier.2"
    assert panel["MACs"] == "10.1 k (10,080)"
    assert panel["FLOPs"] == "20.2 k (20,244)"
    assert panel["Outputs"] == "float32 [1, 84]"
    assert panel["Inputs"].splitlines()[0].startswith("classifier.1.sigmoid float32 [1, 120]")
    assert "classifier.2.matmul" in panel["Its backward"]
    assert "lenet.py:" in panel["Line"]
    assert page.count(".g-box.selected") == 1


def test_panel_links_go_to_the_backward_and_the_parameters(opened: Callable[..., Page]) -> None:
    page = opened(lenet5())
    page.run("reveal(graph.nodes.find(n => n.label === 'features_detector.3.conv2d').id)")
    assert page.panel()["Parameters"].splitlines()[:2] == [
        "kernel_size = (5, 5)",
        "stride = (1, 1)",
    ]

    def follow(text: str) -> dict[str, str]:
        for button in page.driver.find_elements("css selector", "#panel .link"):
            if button.text == text:
                button.click()
                return page.panel()
        raise AssertionError(f"no link {text}")

    panel = follow("features_detector.3.conv2d_weight_grad")
    assert panel["Pass"] == "backward"
    assert panel["Gives"] == "grad.features_detector.3.weight"
    assert panel["Backward of"] == "features_detector.3.conv2d"
    follow("features_detector.3.conv2d")
    assert follow("features_detector.3.weight")["Role"] == "parameter, trained"
    assert page.run("return document.getElementById('leaves').checked")


def test_switches_between_the_passes(opened: Callable[..., Page]) -> None:
    page = opened(lenet5())
    both = page.count(".g-box")
    page.find("[data-pass=backward]").click()
    backward = page.count(".g-box")
    assert 0 < backward == page.count(".g-box.g-back")
    page.press("f")
    assert page.count(".g-box.g-back") == 0
    assert page.count(".g-box") == both - backward


def test_zooms_and_moves_by_keyboard_wheel_and_pointer(opened: Callable[..., Page]) -> None:
    page = opened(lenet5())
    fitted = page.scale()
    page.press("+")
    assert page.scale() > fitted
    page.press("-")
    page.press("-")
    assert page.scale() < fitted
    page.press("0")
    assert page.scale() == fitted
    x = page.run("return view.x")
    page.press("\ue014")  # the right arrow
    assert page.run("return view.x") == x - 60
    page.run("canvas.dispatchEvent(new WheelEvent('wheel', {deltaY: -300, clientX: 90}))")
    assert page.scale() > fitted
    from selenium.webdriver import ActionChains

    before = page.run("return [view.x, view.y]")
    canvas = page.find("#canvas")
    drag = ActionChains(page.driver).move_to_element_with_offset(canvas, -600, 0)
    drag.click_and_hold().move_by_offset(50, 30).release().perform()
    after = page.run("return [view.x, view.y]")
    assert [b - a for a, b in zip(before, after, strict=True)] == pytest.approx([50, 30], abs=1)


def test_exports_what_is_shown(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened(lenet5())
    page.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    page.find("#export").click()
    file = tmp_path / "lenet5.svg"
    page.until(file.exists)
    root = ElementTree.parse(file).getroot()
    assert root.tag == f"{SVG}svg"
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert [name for name in page.names() if name not in texts] == []
    style = root.findtext(f"{SVG}style")
    assert style is not None and ".g-edge" in style and "var(" not in style


def test_themes_follow_the_system_and_the_button(opened: Callable[..., Page], driver: Any) -> None:
    wanted = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    page = opened(lenet5())
    ground = "return getComputedStyle(document.body).backgroundColor"
    dark = page.run(ground)
    page.find("#theme").click()
    light = page.run(ground)
    assert [int(c) < 60 for c in dark[4:-1].split(",")] == [True] * 3
    assert [int(c) > 200 for c in light[4:-1].split(",")] == [True] * 3


def test_colours_by_macs_and_by_measured_time(opened: Callable[..., Page]) -> None:
    graph = lenet5()
    times = {graph.labels[node]: 1e-6 for node in graph.calls}
    times["reshape"] = 3e-3
    page = opened(graph, times=times)
    page.press("c")
    fill = """return Object.fromEntries([...document.querySelectorAll('.g-box')].map((box) => [
        (box.classList.contains('g-back') ? 'backward of ' : '')
        + box.querySelector('.g-name').textContent,
        box.querySelector('.g-body').getAttribute('fill')]))"""
    page.run("document.querySelector('#colour [value=time]').selected = true")
    page.run("document.getElementById('colour').dispatchEvent(new Event('change'))")
    by_time = page.run(fill)
    page.run("shown.colour = 'macs'; redraw()")
    by_macs = page.run(fill)
    hot = page.run("return `rgb(${channels(themeColour('--hot')).join(' ')})`")
    assert (
        page.run("return amount(graph.nodes.find(n => n.label === 'reshape').time, 's')") == "3 ms"
    )
    hottest = [[name for name in fills if fills[name] == hot] for fills in (by_time, by_macs)]
    assert hottest == [["reshape"], ["backward of features_detector"]]


def test_folds_repeated_blocks(opened: Callable[..., Page]) -> None:
    graph = mg.trace(residual(6), mg.Spec((1, 2, 5, 5)))
    page = opened(graph)
    page.press("c")
    page.press("o")
    assert "1 to 5 ×5" in page.names() and "4" not in page.names()
    page.press("o")
    assert [page.names().count(block) for block in ("1", "4", "5")] == [1, 1, 1]


def test_hostile_names_are_text(opened: Callable[..., Page]) -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    inner = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    network._modules[HOSTILE] = inner
    type(inner).__name__, kind = HOSTILE, type(inner).__name__
    try:
        graph = mg.trace(network, mg.Spec((1, 2)), backward=True)
        page = opened(graph)
    finally:
        type(inner).__name__ = kind
    page.press("c")
    for _ in range(3):
        page.press("o")
    for item in page.run("return items.map(i => i.id)"):
        page.run("select(arguments[0])", item)
    page.find("#search").send_keys("hacked")
    assert page.count("#found li") > 1
    assert page.run("return [window.hacked, document.images.length]") == [None, 0]
    assert page.count("script:not([type])") == len(html.SCRIPTS)
    exported = ElementTree.fromstring(page.run("return exportSVG()"))
    assert not list(exported.iter(f"{SVG}script"))


def test_a_script_that_is_not_the_pages_own_is_refused(driver: Any, tmp_path: Path) -> None:
    path = saved(tmp_path, lenet5())
    text = path.read_text().replace("</body>", "<script>window.hacked = 1</script></body>")
    path.write_text(text)
    assert Page(driver, path).run("return window.hacked") is None
    assert any("Content Security" in line["message"] for line in driver.get_log("browser"))


def test_a_large_graph_opens_in_parts(opened: Callable[..., Page]) -> None:
    def chain(x: mg.Tensor) -> mg.Tensor:
        for _ in range(3000):
            x = x.exp()
        return x

    page = opened(mg.trace(chain, mg.Spec((2,))))
    assert page.count(".g-box") < 130
    page.run("reveal(graph.nodes.at(-1).id)")
    assert page.panel()["Name"] == "exp_3000"


@pytest.mark.slow
def test_resnet152_with_its_backward_opens_folded_within_two_seconds(
    opened: Callable[..., Page],
) -> None:
    with mg.abstract():
        graph = mg.trace(models.create("resnet152"), mg.Spec((1, 3, 224, 224)), backward=True)
    page = opened(graph)
    assert int(page.run("return document.documentElement.dataset.ready")) < 2000
    assert "layer3" in page.names() and page.count(".g-box") < 40
    page.press("o")
    assert "1 to 35 ×35" in page.names()


def test_page_holds_all_it_needs() -> None:
    text = html.page(lenet5())
    assert "http://" not in text.replace(SVG[1:-1], "") and "src=" not in text
    assert "Copyright (c) 2012-2014 Chris Pettitt" in text  # the licence of dagre asks for it
    start = text.index('id="data">') + len('id="data">')
    data = json.loads(text[start : text.index("</script>", start)])
    assert len(data["nodes"]) == len(lenet5().nodes)


@pytest.mark.parametrize(
    "times", [{"no such node": 1.0}, {"reshape": -1.0}, {"reshape": float("nan")}]
)
def test_refuses_times_that_cannot_be(times: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="html: "):
        lenet5().save(tmp_path / "graph.html", times=times)
    assert not list(tmp_path.iterdir())
