"use strict";
(() => {
  const D = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const types = { f4: Float32Array, f8: Float64Array, u4: Uint32Array, i4: Int32Array, u1: Uint8Array, i2: Int16Array };
  const read = (blob) => {
    const raw = atob(blob.data), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new types[blob.type](bytes.buffer);
  };
  const open = (f) => Object.fromEntries(Object.entries(f).map(([k, v]) => [k, v && v.data !== undefined && v.type ? read(v) : v]));
  const frames = [];
  const frameAt = (i) => (frames[i] ??= prepare(open(D.frames[i])));
  const canvas = $("view"), ctx = canvas.getContext("2d");
  const [X0, Y0, X1, Y1] = D.window;
  let at = 0, hover = -1, kept = -1, view = null, pending = false;

  function prepare(f) {
    const n = f.n_faces, box = new Float32Array(4 * n);
    for (let i = 0; i < n; i++) {
      let a = Infinity, b = Infinity, c = -Infinity, d = -Infinity;
      for (let k = f.ptr[i]; k < f.ptr[i + 1]; k++) {
        const x = f.xy[2 * f.corner[k]], y = f.xy[2 * f.corner[k] + 1];
        a = Math.min(a, x); b = Math.min(b, y); c = Math.max(c, x); d = Math.max(d, y);
      }
      box.set([a, b, c, d], 4 * i);
    }
    f.box = box;
    const g = Math.max(1, Math.ceil(Math.sqrt(n))), cells = Array.from({ length: g * g }, () => []);
    const bx = (x) => Math.min(g - 1, Math.max(0, Math.floor(((x - X0) / (X1 - X0)) * g)));
    const by = (y) => Math.min(g - 1, Math.max(0, Math.floor(((y - Y0) / (Y1 - Y0)) * g)));
    for (let i = 0; i < n; i++)
      for (let p = bx(box[4 * i]); p <= bx(box[4 * i + 2]); p++)
        for (let q = by(box[4 * i + 1]); q <= by(box[4 * i + 3]); q++) cells[p * g + q].push(i);
    f.find = (x, y) => {
      let best = -1e-9 * (X1 - X0), found = -1;
      for (const i of cells[bx(x) * g + by(y)]) {
        let least = Infinity;
        for (let k = f.ptr[i]; k < f.ptr[i + 1]; k++) {
          const p = f.corner[k], q = f.corner[k + 1 < f.ptr[i + 1] ? k + 1 : f.ptr[i]];
          const ux = f.xy[2 * q] - f.xy[2 * p], uy = f.xy[2 * q + 1] - f.xy[2 * p + 1], l = Math.hypot(ux, uy);
          if (l > 0) least = Math.min(least, (ux * (y - f.xy[2 * p + 1]) - uy * (x - f.xy[2 * p])) / l);
        }
        if (least > best) { best = least; found = i; }
      }
      return found;
    };
    return f;
  }

  const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const mix = (a, b, t) => a.map((v, i) => Math.round(v + (b[i] - v) * t));
  const css = (c) => `rgb(${c[0]},${c[1]},${c[2]})`;
  const isDark = () => getComputedStyle(document.documentElement).getPropertyValue("--paper").trim() === "#14161a";
  const ramp = D.ramp.map(rgb), classes = D.classes.map((c) => rgb(c.color));
  const along = (t) => { const s = t * (ramp.length - 1), i = Math.min(ramp.length - 2, Math.floor(s)); return mix(ramp[i], ramp[i + 1], s - i); };
  const fill = (kind, level) => {
    if ($("colour").value === "pattern" || kind < 0) return css(along(level));
    const light = isDark() ? 0.5 - 0.34 * (level - 0.5) : 0.6 + 0.4 * (level - 0.5);
    return css(mix(classes[kind % classes.length], isDark() ? [16, 18, 22] : [255, 255, 255], light));
  };

  const whole = () => { const r = Math.max(X1 - X0, Y1 - Y0); return { x: (X0 + X1) / 2, y: (Y0 + Y1) / 2, r }; };
  view = whole();
  const size = () => canvas.width;
  const sx = (x) => ((x - view.x) / view.r + 0.5) * size(), sy = (y) => (0.5 - (y - view.y) / view.r) * size();
  const wx = (px) => ((px / canvas.clientWidth) - 0.5) * view.r + view.x;
  const wy = (py) => (0.5 - py / canvas.clientHeight) * view.r + view.y;

  function polygon(f, i) {
    ctx.beginPath();
    for (let k = f.ptr[i]; k < f.ptr[i + 1]; k++) ctx.lineTo(sx(f.xy[2 * f.corner[k]]), sy(f.xy[2 * f.corner[k] + 1]));
    ctx.closePath();
  }

  function draw() {
    pending = false;
    const f = frameAt(at), dpr = Math.min(2, window.devicePixelRatio || 1);
    const want = Math.round(canvas.clientWidth * dpr);
    if (canvas.width !== want) canvas.width = canvas.height = want;
    ctx.clearRect(0, 0, size(), size());
    const a = view.x - view.r / 2, b = view.y - view.r / 2, c = view.x + view.r / 2, d = view.y + view.r / 2;
    const byClass = $("colour").value === "class" && f.kind;
    ctx.lineWidth = 0.6;
    for (let i = 0; i < f.n_faces; i++) {
      const o = 4 * i;
      if (f.box[o] > c || f.box[o + 2] < a || f.box[o + 1] > d || f.box[o + 3] < b) continue;
      if (byClass && f.kind[i] < 0) continue;
      polygon(f, i);
      ctx.fillStyle = ctx.strokeStyle = fill(byClass ? f.kind[i] : -1, f.level[i] / 255);
      ctx.fill(); ctx.stroke();
    }
    if (byClass)
      for (let p = 0; p + 1 < f.part_ptr.length; p++) {
        ctx.beginPath();
        for (let k = f.part_ptr[p]; k < f.part_ptr[p + 1]; k++) ctx.lineTo(sx(f.part_xy[2 * k]), sy(f.part_xy[2 * k + 1]));
        ctx.closePath();
        ctx.fillStyle = ctx.strokeStyle = fill(f.part_kind[p], f.level[f.part_face[p]] / 255);
        ctx.fill(); ctx.stroke();
      }
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
    const paper = getComputedStyle(document.documentElement).getPropertyValue("--paper").trim();
    if ($("kinks").checked) {
      const n = f.edge.length / 2, zoom = (X1 - X0) / view.r;
      const weight = Math.min(1.6, Math.max(0.12, (26 / Math.sqrt(n)) * Math.sqrt(zoom))) * dpr;
      for (let layer = 0; layer < D.layers.length; layer++) {
        const depth = layer / Math.max(1, D.layers.length - 1);
        ctx.strokeStyle = byClass || isDark() ? ink : paper;
        ctx.globalAlpha = (0.75 - 0.4 * depth) * (isDark() ? 0.55 : 1);
        ctx.lineWidth = weight * (1.35 - 0.8 * depth);
        ctx.beginPath();
        for (let e = 0; e < n; e++) {
          if (f.edge_layer[e] !== layer) continue;
          const p = f.edge[2 * e], q = f.edge[2 * e + 1];
          ctx.moveTo(sx(f.xy[2 * p]), sy(f.xy[2 * p + 1])); ctx.lineTo(sx(f.xy[2 * q]), sy(f.xy[2 * q + 1]));
        }
        ctx.stroke();
      }
      ctx.globalAlpha = 1;
    }
    if ($("boundary").checked && f.segments) {
      for (const [colour, width] of [[paper, 5], [ink, 2.4]]) {
        ctx.strokeStyle = colour; ctx.lineWidth = width * dpr; ctx.lineCap = "round"; ctx.beginPath();
        for (let s = 0; s < f.segments.length; s += 4) { ctx.moveTo(sx(f.segments[s]), sy(f.segments[s + 1])); ctx.lineTo(sx(f.segments[s + 2]), sy(f.segments[s + 3])); }
        ctx.stroke();
      }
    }
    if ($("points").checked && D.points) {
      const r = Math.min(6, Math.max(2.4, 60 / Math.sqrt(D.points.length))) * dpr;
      for (const [x, y, k] of D.points) {
        ctx.beginPath(); ctx.arc(sx(x), sy(y), r, 0, 7);
        ctx.fillStyle = k < 0 ? ink : css(mix(classes[k % classes.length], [255, 255, 255], isDark() ? 0.4 : 0)); ctx.strokeStyle = paper; ctx.lineWidth = 1.2 * dpr;
        ctx.fill(); ctx.stroke();
      }
    }
    pictures(dpr);
    axes(ink, paper, dpr);
    const pick = kept >= 0 ? kept : hover;
    if (pick >= 0 && pick < f.n_faces) {
      polygon(f, pick); ctx.strokeStyle = paper; ctx.lineWidth = 5 * dpr; ctx.stroke();
      polygon(f, pick); ctx.strokeStyle = "#d55e00"; ctx.lineWidth = 2.2 * dpr; ctx.stroke();
    }
  }
  // Small pictures of the samples that the plane was laid through, beside their points, towards the edge of the window.
  const images = (D.images || []).map(({ at, size, grey }) => {
    const [h, w] = size, made = document.createElement("canvas"), values = read(grey);
    made.width = w; made.height = h;
    const into = made.getContext("2d"), image = into.createImageData(w, h);
    for (let i = 0; i < w * h; i++) image.data.set([values[i], values[i], values[i], 255], 4 * i);
    into.putImageData(image, 0, 0);
    return { at, made };
  });
  function pictures(dpr) {
    if (!$("points").checked) return;
    const side = 0.11 * size(), gap = 8 * dpr;
    ctx.imageSmoothingEnabled = false;
    for (const { at: [x, y], made } of images) {
      const px = sx(x), py = sy(y), high = (side * made.height) / made.width;
      if (px < 0 || py < 0 || px > size() || py > size()) continue;
      const left = x > (X0 + X1) / 2 ? px + gap : px - gap - side, top = y > (Y0 + Y1) / 2 ? py - gap - high : py + gap;
      const at = [Math.max(2, Math.min(size() - side - 2, left)), Math.max(2, Math.min(size() - high - 2, top))];
      ctx.drawImage(made, ...at, side, high);
      ctx.strokeStyle = "#d55e00"; ctx.lineWidth = 1.5 * dpr;
      ctx.strokeRect(...at, side, high);
    }
  }

  // Ticks along the left and the lower edge, at round coordinates of the plane.
  const around = (low, high) => {
    const raw = (high - low) / 5, base = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].find((m) => m * base >= raw) * base;
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, i) => +((first + i) * step).toPrecision(12));
  };
  function axes(ink, paper, dpr) {
    const half = view.r / 2, edge = 6 * dpr;
    ctx.font = `${11 * dpr}px system-ui, "DejaVu Sans", sans-serif`;
    ctx.lineJoin = "round";
    const word = (text, x, y) => {
      ctx.strokeStyle = paper; ctx.lineWidth = 3 * dpr; ctx.strokeText(text, x, y);
      ctx.fillStyle = ink; ctx.fillText(text, x, y);
    };
    const tick = (x, y, dx, dy) => {
      for (const [colour, width] of [[paper, 3], [ink, 1.2]]) {
        ctx.strokeStyle = colour; ctx.lineWidth = width * dpr;
        ctx.beginPath(); ctx.moveTo(x, y); ctx.lineTo(x + dx, y + dy); ctx.stroke();
      }
    };
    ctx.textAlign = "center"; ctx.textBaseline = "bottom";
    for (const x of around(view.x - half, view.x + half)) {
      if (sx(x) < 34 * dpr || sx(x) > size() - 20 * dpr) continue;
      tick(sx(x), size(), 0, -edge); word(number(x), sx(x), size() - edge - 2 * dpr);
    }
    ctx.textAlign = "left"; ctx.textBaseline = "middle";
    for (const y of around(view.y - half, view.y + half)) {
      if (sy(y) < 12 * dpr || sy(y) > size() - 26 * dpr) continue;
      tick(0, sy(y), edge, 0); word(number(y), edge + 3 * dpr, sy(y));
    }
    ctx.textBaseline = "top";
    word(`${D.axes[0]} across, ${D.axes[1]} up`, edge, edge);
  }
  const redraw = () => { if (!pending) { pending = true; requestAnimationFrame(draw); } };

  const number = (v) => { const a = Math.abs(v); return a !== 0 && (a < 1e-3 || a >= 1e5) ? v.toExponential(3) : String(+v.toPrecision(5)); };
  const element = (tag, text, parent, cls) => { const e = document.createElement(tag); if (text !== null) e.textContent = text; if (cls) e.className = cls; parent.append(e); return e; };

  function facts() {
    const f = frameAt(at), list = $("facts");
    list.replaceChildren();
    for (const [name, value] of f.facts) { element("dt", name, list); element("dd", value, list); }
    const legend = $("classes");
    legend.replaceChildren();
    $("classes-head").hidden = !f.class_areas;
    (f.class_areas || []).forEach((share, k) => {
      const item = element("li", null, legend);
      element("i", null, item).style.background = D.classes[k % D.classes.length].color;
      element("span", D.class_names[k] ?? `class ${k}`, item); element("span", `${(100 * share).toFixed(1)} % of the window`, item);
    });
    $("has-boundary").hidden = !f.segments; $("has-points").hidden = !D.points;
    $("stamp").textContent = f.title;
  }

  function region(i) {
    const f = frameAt(at), box = $("region");
    box.replaceChildren();
    if (i < 0) { box.className = "hint"; box.textContent = "Point at one."; return; }
    box.className = "";
    const list = element("dl", null, box);
    const rows = [["region", `${i.toLocaleString("en")} of ${f.n_faces.toLocaleString("en")}`], ["area", number(f.area[i])], ["sides", f.ptr[i + 1] - f.ptr[i]]];
    if (f.kind) rows.push(["class", f.kind[i] < 0 ? "the boundary runs through" : D.class_names[f.kind[i]] ?? f.kind[i]]);
    for (const [name, value] of rows) { element("dt", name, list); element("dd", value, list); }
    if (f.maps) {
      element("h2", "Affine map on it", box);
      const table = element("table", null, element("div", null, box, "scroll"));
      const head = element("tr", null, table);
      for (const name of ["output", D.axes[0], D.axes[1], "constant"]) element("th", name, head);
      for (let k = 0; k < D.n_maps; k++) {
        const row = element("tr", null, table);
        element("td", D.n_maps === 1 ? "logit" : D.class_names[k] ?? k, row);
        for (let c = 0; c < 3; c++) element("td", number(f.maps[(i * D.n_maps + k) * 3 + c]), row);
      }
    }
    element("h2", "Activation pattern", box);
    if (!f.bits) { element("p", "Left out: too many regions to carry every pattern in one page.", box, "hint"); return; }
    const bit = (j) => (f.bits[i * D.n_bytes + (j >> 3)] >> (7 - (j & 7))) & 1;
    for (const layer of D.layers) {
      const block = element("div", null, box, "layer"), strip = document.createElement("div");
      strip.className = "units";
      let on = 0;
      for (let u = 0; u < layer.n_units; u++) {
        let state = 0;
        for (let w = 0; w < layer.n_rows; w++) state += bit(layer.first + w * layer.n_units + u);
        on += state > 0;
        if (u < 512) element("b", null, strip, state === 0 ? "" : state === layer.n_rows ? "on" : "mid").title = `${layer.name}[${u}]: ${state}`;
      }
      block.textContent = `${layer.name}: ${on} of ${layer.n_units} units past a kink`;
      block.append(strip);
    }
  }

  let drag = null;
  const pointers = new Map();
  canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); pointers.set(e.pointerId, e); drag = { x: e.offsetX, y: e.offsetY, view: { ...view }, moved: false }; });
  canvas.addEventListener("pointermove", (e) => {
    if (pointers.size === 2 && pointers.has(e.pointerId)) {
      const [p, q] = [...pointers.values()], before = Math.hypot(p.offsetX - q.offsetX, p.offsetY - q.offsetY);
      pointers.set(e.pointerId, e);
      const [r, s] = [...pointers.values()], after = Math.hypot(r.offsetX - s.offsetX, r.offsetY - s.offsetY);
      zoom(before / Math.max(1, after), (r.offsetX + s.offsetX) / 2, (r.offsetY + s.offsetY) / 2);
      drag = null; return;
    }
    if (drag && pointers.has(e.pointerId)) {
      const dx = e.offsetX - drag.x, dy = e.offsetY - drag.y;
      if (Math.hypot(dx, dy) > 3) drag.moved = true;
      if (drag.moved) { view = { ...drag.view, x: drag.view.x - (dx / canvas.clientWidth) * view.r, y: drag.view.y + (dy / canvas.clientHeight) * view.r }; redraw(); }
      return;
    }
    $("where").textContent = `${D.axes[0]} ${number(wx(e.offsetX))}, ${D.axes[1]} ${number(wy(e.offsetY))}`;
    const found = frameAt(at).find(wx(e.offsetX), wy(e.offsetY));
    if (found !== hover) { hover = found; if (kept < 0) region(hover); redraw(); }
  });
  canvas.addEventListener("pointerup", (e) => {
    pointers.delete(e.pointerId);
    if (drag && !drag.moved) { const found = frameAt(at).find(wx(e.offsetX), wy(e.offsetY)); kept = kept === found ? -1 : found; region(kept >= 0 ? kept : hover); redraw(); }
    drag = null;
  });
  canvas.addEventListener("pointercancel", (e) => { pointers.delete(e.pointerId); drag = null; });
  canvas.addEventListener("pointerleave", () => { hover = -1; if (kept < 0) region(-1); redraw(); });
  function zoom(by, px, py) {
    const x = wx(px), y = wy(py), r = Math.min(whole().r * 2, Math.max(whole().r * 1e-5, view.r * by)), s = r / view.r;
    view = { x: x + (view.x - x) * s, y: y + (view.y - y) * s, r }; redraw();
  }
  canvas.addEventListener("wheel", (e) => { e.preventDefault(); zoom(Math.exp(e.deltaY * 0.0015), e.offsetX, e.offsetY); }, { passive: false });
  const reset = () => { view = whole(); redraw(); };
  canvas.addEventListener("dblclick", reset); $("reset").addEventListener("click", reset);
  canvas.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key];
    if (step) { view.x += step[0] * view.r * 0.1; view.y += step[1] * view.r * 0.1; e.preventDefault(); redraw(); }
    if (e.key === "+" || e.key === "-") zoom(e.key === "+" ? 0.8 : 1.25, canvas.clientWidth / 2, canvas.clientHeight / 2);
  });
  for (const id of ["kinks", "boundary", "points", "colour"]) $(id).addEventListener("change", redraw);
  $("theme").addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; redraw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("resize", redraw);
  const go = (i) => { at = i; hover = kept = -1; $("frame").value = i; facts(); region(-1); redraw(); };
  let timer = null;
  if (D.frames.length > 1) {
    $("time").hidden = false; $("frame").max = D.frames.length - 1;
    $("frame").addEventListener("input", () => go(+$("frame").value));
    $("play").addEventListener("click", () => {
      if (timer) { clearInterval(timer); timer = null; } else timer = setInterval(() => go((at + 1) % D.frames.length), 180);
      $("play").textContent = timer ? "Pause" : "Play";
    });
  }
  if (!D.frames[0].kind) { $("colour").value = "pattern"; $("colour").parentElement.hidden = true; }
  facts(); redraw();
})();
