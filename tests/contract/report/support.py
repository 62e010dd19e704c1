"""What a report's page shows, asked of a real Chromium."""

from typing import Any

from tests.browser import Page

# rows of a section's table, as text by the heading of their column
ROWS = """
[...document.querySelectorAll("#%s table.rows tbody tr")].map((row) => Object.fromEntries(
  [...row.cells].map((cell) => [cell.dataset.label, cell.textContent])))
"""
TILE = """
(() => {
  const tile = document.getElementById("glance-%s");
  return [tile.className.replace("tile ", ""), tile.querySelector("b").textContent,
    tile.getBoundingClientRect().bottom];
})()
"""
# what is wider than the window, or too small or too faint to read
FAULTS = """
(() => {
  const found = [];
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b]
      .map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  for (const node of document.querySelectorAll("body *:not(script)")) {
    const box = node.getBoundingClientRect();
    const hidden = ".canvas, thead, details:not([open]) table";
    if (!box.width || !box.height || node.closest(hidden)) continue;
    const style = getComputedStyle(node);
    const text = `${node.tagName} ${node.textContent.slice(0, 40)}`;
    if (box.right > innerWidth + 1 || box.left < -1) found.push(`outside: ${text}`);
    const isBox = style.display !== "inline" && node.clientWidth;
    if (isBox && node.scrollWidth > node.clientWidth + 1) found.push(`overflows: ${text}`);
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
    if (parseFloat(style.fontSize) < 12) found.push(`small: ${text}`);
    const [a, b] = [light(numbers(style.color)), light(ground(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(`faint: ${text}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page scrolls sideways");
  return found;
})()
"""
# colours of candles that are drawn in the first canvas of each figure
DRAWN = """
[...document.querySelectorAll("figure.chart")].map((figure) => {
  const canvas = figure.querySelector(".canvas canvas");
  const points = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const style = getComputedStyle(document.documentElement);
  const wanted = ["--up", "--down"].map((name) =>
    style.getPropertyValue(name).trim().slice(1).match(/../g).map((part) => parseInt(part, 16)));
  let found = 0;
  for (let at = 0; at < points.length; at += 4)
    found += wanted.some((c) => c.every((v, n) => Math.abs(points[at + n] - v) < 6));
  return found;
})
"""


def rows(page: Page, section: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = page.ask(ROWS % section)
    return found


def tile(page: Page, name: str) -> tuple[str, str, float]:
    state, number, bottom = page.ask(TILE % name)
    return state, number, bottom


def charts(page: Page) -> list[dict[str, Any]]:
    """What chart.js was given, and how many points the library has of the candles."""
    found: list[dict[str, Any]] = page.ask(
        "[...document.querySelectorAll('figure.chart')].map((f) => ({...f.entasis.spec,"
        " title: f.querySelector('figcaption').textContent,"
        " drawn: f.entasis.drawn[0].series.data().filter((p) => p.open !== undefined).length}))"
    )
    return found
