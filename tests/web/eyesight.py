"""Scripts that look at a page as an auditor would. Each returns a list of what is wrong."""

from __future__ import annotations

__all__ = ["CONTRAST", "MEASURE", "NAMELESS", "OVERFLOWING", "WIDTHS"]

#: Of a desk, of something smaller, of two phones.
WIDTHS = (1280, 800, 390, 360)

#: What hangs out of the window, or of its own frame, where it cannot be scrolled to.
OVERFLOWING = """
const inside = node => node.closest('.scroll, .skip, .unseen, svg, .cards thead');
return [...document.querySelectorAll('body *')].filter(node => {
  const box = node.getBoundingClientRect();
  if (!box.width || inside(node)) return false;
  const tile = node.closest('.tile, .panel')?.getBoundingClientRect();
  return box.right > innerWidth + 1 || box.left < -1 || (tile && box.right > tile.right + 1);
}).map(node => `${node.tagName}#${node.id}.${node.className}: ${node.textContent.slice(0, 40)}`).slice(0, 10);
"""

#: Colours as they are seen: what is transparent lets through what is behind it.
MEASURE = """
const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const parse = colour => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const over = (top, below) => top.slice(0, 3).map((value, at) => value * top[3] / 255 + below[at] * (1 - top[3] / 255));
const ground = node => {
  const behind = node.parentElement ? ground(node.parentElement) : [255, 255, 255];
  return over(parse(getComputedStyle(node).backgroundColor), behind);
};
const light = colour => {
  const [r, g, b] = colour.map(value => value / 255).map(
    value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => {
  const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};
"""

#: Text that has not the contrast of AA: 4.5, or 3 if it is large; to be put behind L{MEASURE}.
CONTRAST = """
for (const row of document.querySelectorAll('.fresh')) row.classList.remove('fresh');
return [...document.querySelectorAll('body *')].filter(node =>
  [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()) && node.checkVisibility()
  && !node.closest('.unseen, .skip, noscript, button:disabled')
).map(node => {
  const style = getComputedStyle(node);
  const behind = ground(node);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  return [contrast(over(parse(style.color), behind), behind), large ? 3 : 4.5, node];
}).filter(([found, wanted]) => found < wanted).map(
  ([found, , node]) => `${found.toFixed(2)} ${node.tagName}#${node.id}.${node.className}: ${node.innerText}`
).slice(0, 10);
"""

#: What can be used and has no name, what is a picture and has no words, and ids that are there twice.
NAMELESS = """
const named = node => node.labels?.length || node.getAttribute('aria-label') || node.getAttribute('aria-labelledby')
  || (!['INPUT', 'svg', 'METER'].includes(node.tagName) && node.textContent.trim());
const used = 'a, button, input, select, summary, meter, nav, section, svg[role=img], [role=region]';
const wrong = [...document.querySelectorAll(used)].filter(node => !named(node)).map(node => node.outerHTML);
wrong.push(...[...document.images].filter(image => !image.hasAttribute('alt')).map(image => image.outerHTML));
const ids = [...document.querySelectorAll('[id]')].map(node => node.id);
wrong.push(...ids.filter((id, at) => ids.indexOf(id) !== at));
for (const name of ['aria-labelledby', 'aria-describedby']) {
  for (const node of document.querySelectorAll(`[${name}]`)) {
    wrong.push(...node.getAttribute(name).split(' ').filter(id => !ids.includes(id)).map(id => `no ${id}`));
  }
}
return wrong;
"""
