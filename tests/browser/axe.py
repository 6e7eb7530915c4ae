"""What is in somebody's way in a page: axe-core's rules, and measures that it has not."""

from dataclasses import dataclass, field
from typing import Any, Literal

from playwright.sync_api import Page

from backend.config import Settings
from backend.install import axe

SMALLEST_TARGET = 44
"""CSS pixels of a side: WCAG 2.5.5, more than the 24 that level AA asks for."""
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
ZOOMED = {"width": 320, "height": 256}
"""What is left of 1280 by 1024 at 400 % (WCAG 1.4.10)."""

_RUN = """
async ([wanted]) => {
  const levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice", "experimental"];
  const rules = wanted || axe.getRules(levels).map((rule) => rule.ruleId);
  const found = await axe.run(document, { runOnly: { type: "rule", values: rules }, resultTypes: ["violations"] });
  return found.violations.flatMap((rule) => rule.nodes.map((node) =>
    `${rule.id} (${rule.impact}): ${node.target.join(" ")} - ${node.failureSummary.replace(/\\s+/g, " ")}`));
}
"""
_SMALL = """
(smallest) => {
  const line = (one) => {
    const shown = getComputedStyle(one).display === "inline" && one.matches("a, summary");
    const beside = [...one.parentElement.childNodes].filter((node) => node !== one);
    return shown && beside.map((node) => node.textContent).join("").trim().length > 2;
  };
  const wanted = "a[href], button, summary, input:not([type=hidden]), select, textarea, [role=button], [tabindex='0']";
  return [...document.querySelectorAll(wanted)].filter((one) => {
    if (!one.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
    const label = one.matches("input") && one.labels && one.labels[0];
    const box = one.getBoundingClientRect(), its = label ? label.getBoundingClientRect() : box;
    const width = Math.max(box.width, its.width), height = Math.max(box.height, its.height);
    return !line(one) && Math.min(width, height) < smallest - 0.5;
  }).map((one) => {
    const { width, height } = one.getBoundingClientRect();
    return `${one.outerHTML.slice(0, 90)} is ${Math.round(width)} by ${Math.round(height)}`;
  });
}
"""
"""A link inside a sentence is as high as the sentence (the exception of WCAG 2.5.8 and 2.5.5)."""
_WIDER = """
() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.body.querySelectorAll("*")].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width && (box.right > width + 0.5 || box.left < -0.5) && !one.matches(".visually-hidden");
  }).slice(0, 5).map((one) => `${one.outerHTML.slice(0, 90)} is wider than the screen`);
}
"""
_MOVES = """
() => [...document.querySelectorAll("*")].flatMap((one) => ["", "::before", "::after"].map((part) => [one, part]))
  .filter(([one, part]) => {
    const style = getComputedStyle(one, part || null);
    const takes = (list) => list.split(",").some((time) => parseFloat(time) > 0.01);
    return (style.animationName !== "none" && takes(style.animationDuration)) || takes(style.transitionDuration)
      || style.scrollBehavior === "smooth";
  }).map(([one, part]) => `${one.outerHTML.slice(0, 90)}${part} moves`)
"""
_UNMARKED = """
() => [...document.querySelectorAll("[role=log] li.message")].filter((one) => !one.lang)
  .map((one) => `${one.outerHTML.slice(0, 90)} does not say its language`)
"""


@dataclass
class Barriers:
    """What was found on the way through a conversation, with the step it was found at."""

    page: Page
    found: list[str] = field(default_factory=list)

    def look(self, step: str) -> None:
        """In light and in dark; then the measures. The screen is as high as the page for that: what happens to lie
        under a bar that stays in its place is no target that is too small."""
        size = self.page.viewport_size or ZOOMED
        height = self.page.evaluate("document.documentElement.scrollHeight")
        self.page.set_viewport_size({"width": size["width"], "height": max(height + 200, size["height"])})
        self._look(step)
        self.page.set_viewport_size({"width": size["width"], "height": size["height"]})

    def _look(self, step: str) -> None:
        for scheme in _SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            self._note(f"{step}, {scheme}", violations(self.page))
        self._note(step, self.page.evaluate(_SMALL, SMALLEST_TARGET))
        self._note(step, self.page.evaluate(_WIDER))
        self._note(step, self.page.evaluate(_UNMARKED))

    def measure(self, step: str) -> None:
        """Without axe: what depends on the size of the screen."""
        self._note(step, self.page.evaluate(_SMALL, SMALLEST_TARGET))
        self._note(step, self.page.evaluate(_WIDER))

    def _note(self, where: str, problems: list[str]) -> None:
        self.found += [f"{where}: {problem}" for problem in problems]


def violations(page: Page, rules: list[str] | None = None) -> list[str]:
    """Of every rule of WCAG 2.2 A and AA, of good practice and of those axe is still trying out; or of some rules."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(axe(Settings().data_dir).read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(_RUN, [rules])
    return found


def moving(page: Page) -> list[str]:
    found: list[str] = page.evaluate(_MOVES)
    return found


_FOCUSED = """
() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const shown = one.matches("input[type=file]") && one.labels[0] ? one.labels[0] : one;
  const style = getComputedStyle(shown), box = shown.getBoundingClientRect();
  const middle = [box.left + box.width / 2, box.top + Math.min(box.height / 2, 20)];
  const top = document.elementFromPoint(...middle);
  return {
    what: one.outerHTML.slice(0, 110),
    key: one.id || one.getAttribute("value") || one.getAttribute("href") || one.textContent.trim().slice(0, 40),
    ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: !!top && (shown === top || shown.contains(top) || top.contains(shown)),
  };
}
"""


def focused(page: Page) -> dict[str, Any] | None:
    """What has the focus, whether it shows that it has, and whether anything lies over it; None when nothing has."""
    found: dict[str, Any] | None = page.evaluate(_FOCUSED)
    return found


_CONTRAST = """
([selector, property]) => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = rgb(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.99) return colour;
    }
    return rgb(getComputedStyle(document.documentElement).backgroundColor).slice(0, 3);
  };
  const light = (colour) => {
    const [red, green, blue] = colour.map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  return [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility()).map((one) => {
    const two = [light(rgb(getComputedStyle(one)[property])), light(behind(one.parentElement))].sort((a, b) => b - a);
    return [one.outerHTML.slice(0, 90), (two[0] + 0.05) / (two[1] + 0.05)];
  });
}
"""


def contrasts(page: Page, selector: str, colour: str) -> list[tuple[str, float]]:
    """Of a colour of each such element (`borderTopColor`, …) with what is around it (WCAG 2.2, relative luminance)."""
    return [(what, ratio) for what, ratio in page.evaluate(_CONTRAST, [selector, colour])]
