// Texts whose contrast is below WCAG 2 AA, with their ratio.
() => {
  const parse = (text) => {
    const numbers = text.match(/[\d.]+/g).map(Number);
    return numbers.length > 3 ? numbers : [...numbers, 1];
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (start) => {
    for (let node = start; node; node = node.parentElement) {
      const found = parse(getComputedStyle(node).backgroundColor);
      if (found[3] > 0.99) return found;
    }
    return [255, 255, 255];
  };
  const left = "script, style, .off-screen, .skip, option, :disabled, noscript";
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), node = walker.currentNode.parentElement;
    if (!text || node.closest(left) || !node.offsetParent) continue;
    const style = getComputedStyle(node);
    const both = [light(parse(style.color).slice(0, 3)), light(behind(node).slice(0, 3))].sort((a, b) => a - b);
    const ratio = (both[1] + 0.05) / (both[0] + 0.05), size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (ratio < least) found.push([node.className, text.slice(0, 30), ratio.toFixed(2)]);
  }
  return found;
}
