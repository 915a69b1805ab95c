"use strict";
(() => {
  const root = document.documentElement;
  const keep = {
    get(key) { try { return localStorage.getItem(key); } catch { return null; } },
    set(key, value) { try { localStorage.setItem(key, value); } catch { /* a page from a file may have no storage */ } },
  };
  for (const part of document.querySelectorAll(".scripted")) part.hidden = false;

  const theme = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const name = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  const chosen = keep.get("unbend-theme");
  if (chosen) root.dataset.theme = chosen;
  theme.hidden = false;
  name();
  dark.addEventListener("change", name);
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    keep.set("unbend-theme", root.dataset.theme);
    name();
  });

  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      let done = true;
      try { await navigator.clipboard.writeText(code.textContent); } catch {
        getSelection().selectAllChildren(code);
        done = document.execCommand("copy");
      }
      button.textContent = done ? "Copied" : "Select and copy";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  const asked = document.getElementById("prediction");
  if (asked) {
    const key = `unbend-guess-${document.querySelector("article").dataset.lesson}`;
    const guess = document.getElementById("guess");
    const guessed = document.getElementById("guessed");
    const result = document.getElementById("result");
    const confront = document.getElementById("confront");
    const unit = asked.dataset.unit ? ` ${asked.dataset.unit}` : "";
    const short = (value) => String(Number(Number(value).toPrecision(3)));
    const reveal = (said) => {
      const answer = Number(asked.dataset.answer);
      const near = Math.abs(said - answer) <= Number(guess.step) / 2;
      confront.textContent = near ? `You said ${short(said)}${unit}, and so it is.`
        : `You said ${short(said)}${unit}; it is ${short(answer)}.`;
      confront.hidden = false;
      result.open = true;
    };
    guess.addEventListener("input", () => { guessed.textContent = short(guess.value) + unit; });
    asked.addEventListener("submit", (event) => {
      event.preventDefault();
      guessed.textContent = short(guess.value) + unit;
      keep.set(key, guess.value);
      reveal(Number(guess.value));
    });
    const before = keep.get(key);
    if (before !== null) {
      guess.value = before;
      guessed.textContent = short(before) + unit;
      reveal(Number(before));
    }
  }

  // Two tanh units over the plane: their lines can be dragged, and the plane of the two units and the verdict follow.
  const SVG = "http://www.w3.org/2000/svg";
  const make = (tag, attributes, parent) => {
    const node = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (parent) parent.append(node);
    return node;
  };
  const MARKS = [(x, y) => `M${x - 3},${y}a3,3 0 1,0 6,0a3,3 0 1,0 -6,0`, (x, y) => `M${x - 3},${y - 3}h6v6h-6z`];
  const COLOURS = ["var(--blue)", "var(--orange)"];
  const TONES = ["var(--vermilion)", "var(--green)"];

  // The perceptron with the best weights kept ("pocket"): a line that parts the points if it finds one in 2,000 rounds.
  const part = (points, labels) => {
    let w = [0, 0, 0];
    let best = [w, points.length];
    for (let round = 0; round < 2000; round += 1) {
      let wrong = 0;
      const start = w.slice();
      points.forEach(([a, b], i) => {
        const sign = labels[i] ? 1 : -1;
        if (sign * (w[0] * a + w[1] * b + w[2]) <= 0) { w = [w[0] + sign * a, w[1] + sign * b, w[2] + sign]; }
      });
      points.forEach(([a, b], i) => {
        if ((labels[i] ? 1 : -1) * (start[0] * a + start[1] * b + start[2]) <= 0) wrong += 1;
      });
      if (wrong < best[1]) best = [start, wrong];
      if (wrong === 0) break;
    }
    return best;
  };

  for (const place of document.querySelectorAll(".live")) {
    const { points, labels, weights, biases, reach } = JSON.parse(place.dataset.live);
    const units = weights.map((w, i) => ({ w: w.slice(), b: biases[i] }));
    const size = 260;
    place.textContent = "";
    const panels = document.createElement("div");
    panels.className = "panels";
    const panel = (title) => {
      const box = document.createElement("div");
      box.className = "panel";
      const words = document.createElement("p");
      words.textContent = title;
      box.append(words);
      const svg = make("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": title }, null);
      box.append(svg);
      panels.append(box);
      return svg;
    };
    const input = panel("Input: drag the round handles; each line is where a unit is 0");
    const hidden = panel("Hidden: the same points at (unit 1, unit 2)");
    const verdict = document.createElement("p");
    verdict.className = "verdict";
    verdict.setAttribute("role", "status");
    place.append(panels, verdict);
    const middle = [0, 1].map((axis) => {
      const values = points.map((p) => p[axis]);
      return (Math.min(...values) + Math.max(...values)) / 2;
    });
    const at = ([x, y]) => [size / 2 + ((x - middle[0]) / reach) * (size / 2), size / 2 - ((y - middle[1]) / reach) * (size / 2)];
    const back = ([px, py]) => [middle[0] + ((px - size / 2) / (size / 2)) * reach, middle[1] - ((py - size / 2) / (size / 2)) * reach];
    const inHidden = ([a, b]) => [size / 2 + a * size * 0.44, size / 2 - b * size * 0.44];
    const dots = (parent) => points.map((_, i) => make("path", { fill: COLOURS[labels[i]], opacity: 0.85 }, parent));
    const lines = units.map((_, i) => make("path", { stroke: TONES[i], "stroke-width": 2.5, fill: "none" }, input));
    const inputDots = dots(input);
    points.forEach((p, i) => inputDots[i].setAttribute("d", MARKS[labels[i]](...at(p))));
    const parting = make("path", { stroke: "var(--ink)", "stroke-width": 2, fill: "none" }, hidden);
    const hiddenDots = dots(hidden);
    // A line by two points on it: its foot, nearest to the middle, and a place further along.
    const grips = units.map(({ w, b }, i) => {
      const length = Math.hypot(...w);
      const off = (w[0] * middle[0] + w[1] * middle[1] + b) / (length * length);
      const foot = [middle[0] - off * w[0], middle[1] - off * w[1]];
      const along = [(-w[1] / length) * reach * 0.55, (w[0] / length) * reach * 0.55];
      return [[foot[0] - along[0], foot[1] - along[1]], [foot[0] + along[0], foot[1] + along[1]]].map((p, end) => ({
        p, node: make("circle", { r: 8, fill: TONES[i], class: "handle", tabindex: 0, role: "button",
          "aria-label": `Unit ${i + 1}, end ${end + 1}: move with the arrow keys` }, input),
      }));
    });
    const sizes = units.map(({ w }) => Math.hypot(...w));

    const draw = () => {
      units.forEach((unit, i) => {
        const [p, q] = grips[i].map((grip) => grip.p);
        const along = [q[0] - p[0], q[1] - p[1]];
        const length = Math.hypot(...along) || 1e-9;
        unit.w = [(along[1] / length) * sizes[i], (-along[0] / length) * sizes[i]];
        unit.b = -(unit.w[0] * p[0] + unit.w[1] * p[1]);
        const far = (s) => at([p[0] + (along[0] / length) * s, p[1] + (along[1] / length) * s]);
        const [a, c] = [far(-4 * reach), far(4 * reach)];
        // Strokes towards the side on which the unit is positive.
        let path = `M${a}L${c}`;
        for (let s = -2; s <= 2; s += 0.16) {
          const from = [p[0] + (along[0] / length) * s * reach, p[1] + (along[1] / length) * s * reach];
          const to = [from[0] + (unit.w[0] / sizes[i]) * reach * 0.04, from[1] + (unit.w[1] / sizes[i]) * reach * 0.04];
          path += `M${at(from)}L${at(to)}`;
        }
        lines[i].setAttribute("d", path);
        grips[i].forEach((grip) => {
          const [x, y] = at(grip.p);
          grip.node.setAttribute("cx", Math.min(size - 9, Math.max(9, x)));
          grip.node.setAttribute("cy", Math.min(size - 9, Math.max(9, y)));
        });
      });
      const h = points.map((p) => units.map(({ w, b }) => Math.tanh(w[0] * p[0] + w[1] * p[1] + b)));
      h.forEach((p, i) => hiddenDots[i].setAttribute("d", MARKS[labels[i]](...inHidden(p))));
      const [[u, v, c], wrong] = part(h, labels);
      const norm = Math.hypot(u, v) || 1e-9;
      const foot = [(-c * u) / (norm * norm), (-c * v) / (norm * norm)];
      const ends = [-3, 3].map((s) => inHidden([foot[0] - (s * v) / norm, foot[1] + (s * u) / norm]));
      parting.setAttribute("d", `M${ends[0]}L${ends[1]}`);
      parting.setAttribute("stroke-dasharray", wrong ? "4 4" : "none");
      verdict.textContent = wrong ? `No line found that parts the classes in the hidden plane: the best leaves ${wrong} of ${points.length} wrong.`
        : "A line parts the classes in the hidden plane: these two units are enough.";
    };
    grips.flat().forEach((grip) => {
      grip.node.addEventListener("pointerdown", (event) => { grip.node.setPointerCapture(event.pointerId); event.preventDefault(); });
      grip.node.addEventListener("pointermove", (event) => {
        if (!grip.node.hasPointerCapture(event.pointerId)) return;
        const box = input.getBoundingClientRect();
        grip.p = back([((event.clientX - box.left) / box.width) * size, ((event.clientY - box.top) / box.height) * size]);
        draw();
      });
      grip.node.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
        if (!step) return;
        event.preventDefault();
        grip.p = [grip.p[0] + step[0] * reach * 0.03, grip.p[1] + step[1] * reach * 0.03];
        draw();
      });
    });
    draw();
  }
  root.dataset.ready = "";
})();
