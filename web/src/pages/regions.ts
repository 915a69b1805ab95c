/** The page of regions: a map to move and zoom, what is told of the region under the pointer, a film of snapshots. */

import { begin, pageData, part, ready } from "../begin.ts";
import { Finder, frameOf, type Frame, type Pair, type Regions } from "../regions/data.ts";
import { Chart } from "../regions/chart.ts";
import { classes, facts, region } from "../regions/told.ts";
import { coordinate, Window } from "../regions/window.ts";

const STEP = 180;
/** Milliseconds of a snapshot, when the film plays. */
const STILL = 3;
/** Pixels up to which a press is no drag. */

function start(data: Regions, canvas: HTMLCanvasElement, context: CanvasRenderingContext2D): void {
  const seen = new Window(data.window);
  canvas.style.aspectRatio = String(1 / seen.ratio);
  const map = new Chart(canvas, context, data);
  const frames: { frame: Frame; finder: Finder }[] = [];
  let [at, hovered, kept, request] = [0, -1, -1, 0];
  const now = (): { frame: Frame; finder: Finder } => {
    const known = frames[at];
    if (known) return known;
    const frame = frameOf(data.frames[at] ?? (data.frames[0] as never));
    return (frames[at] = { frame, finder: new Finder(frame, data.window) });
  };
  const pick = (): number => (kept >= 0 ? kept : hovered);
  const colour = part<HTMLSelectElement>("colour");
  const wanted = (id: string): boolean => part<HTMLInputElement>(id).checked;
  const draw = (): void => {
    request = 0;
    map.draw(now().frame, seen, {
      kinks: wanted("kinks"), boundary: wanted("boundary"), points: wanted("points"), byClass: colour.value === "class", pick: pick(),
    });
    ready();
  };
  const redraw = (): void => { request ||= requestAnimationFrame(draw); };
  const tell = (): void => {
    const { frame } = now();
    const box = part("region");
    box.className = pick() < 0 ? "quiet" : "";
    if (pick() >= 0) box.replaceChildren(...region(frame, pick(), data));
    else box.textContent = frame.carried.picture ? "Drawn as a picture: too many regions to tell one by one." : "Point at one.";
  };
  const change = (face: number): void => {
    if (face === hovered) return;
    hovered = face;
    if (kept < 0) tell();
    redraw();
  };
  const look = (): void => {
    const { frame } = now();
    part("facts").replaceChildren(...facts(frame));
    part("classes").replaceChildren(...classes(frame, data));
    part("classes-head").hidden = !frame.carried.class_areas;
    part("has-boundary").hidden = !frame.segments.length;
    part("has-points").hidden = !data.points;
    part("stamp").textContent = frame.carried.title;
    tell();
    redraw();
  };
  const place = (event: PointerEvent): Pair => seen.place([event.offsetX, event.offsetY], canvas.clientWidth);
  const keep = (face: number): void => {
    kept = kept === face ? -1 : face;
    tell();
    redraw();
  };
  follow(canvas, seen, {
    redraw,
    over(event) {
      const [x, y] = place(event);
      part("where").textContent = `${data.axes[0]} ${coordinate(x)}, ${data.axes[1]} ${coordinate(y)}`;
      change(now().finder.at(x, y));
    },
    pressed(event) { keep(now().finder.at(...place(event))); },
    left() { change(-1); },
    entered() {
      const [left, bottom, right, top] = seen.edges;
      keep(now().finder.at((left + right) / 2, (bottom + top) / 2));
    },
  });
  for (const id of ["kinks", "boundary", "points", "colour"]) part(id).addEventListener("change", redraw);
  part("reset").addEventListener("click", () => {
    seen.reset();
    redraw();
  });
  addEventListener("resize", redraw);
  film(data.frames.length, (i) => {
    [at, hovered, kept] = [i, -1, -1];
    look();
  });
  if (!data.frames[0]?.kind && !data.frames[0]?.picture?.kind) {
    colour.value = "pattern";
    part("colouring").hidden = true;
  }
  begin(redraw);
  look();
}

interface Answers {
  redraw(): void;
  over(event: PointerEvent): void;
  pressed(event: PointerEvent): void;
  left(): void;
  entered(): void;
}

/** Pointers that drag, pinch and press; the wheel; keys. */
function follow(canvas: HTMLCanvasElement, seen: Window, answers: Answers): void {
  const pointers = new Map<number, Pair>();
  let drag: { from: Pair; isMoved: boolean } | null = null;
  const zoom = (by: number, at: Pair): void => {
    seen.zoom(by, seen.place(at, canvas.clientWidth));
    answers.redraw();
  };
  const spread = (): [far: number, middle: Pair] => {
    const [[x0, y0] = [0, 0], [x1, y1] = [0, 0]] = [...pointers.values()];
    return [Math.hypot(x1 - x0, y1 - y0), [(x0 + x1) / 2, (y0 + y1) / 2]];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    drag = { from: [event.offsetX, event.offsetY], isMoved: false };
  });
  canvas.addEventListener("pointermove", (event) => {
    const here: Pair = [event.offsetX, event.offsetY];
    if (pointers.size === 2 && pointers.has(event.pointerId)) {
      const [before] = spread();
      pointers.set(event.pointerId, here);
      const [after, middle] = spread();
      zoom(before / Math.max(1, after), middle);
      drag = null;
    } else if (drag && pointers.has(event.pointerId)) {
      const [dx, dy] = [here[0] - drag.from[0], here[1] - drag.from[1]];
      if (!drag.isMoved && Math.hypot(dx, dy) <= STILL) return;
      seen.move(-dx / canvas.clientWidth, dy / canvas.clientWidth);
      drag = { from: here, isMoved: true };
      answers.redraw();
    } else answers.over(event);
  });
  canvas.addEventListener("pointerup", (event) => {
    pointers.delete(event.pointerId);
    if (drag && !drag.isMoved) answers.pressed(event);
    drag = null;
  });
  canvas.addEventListener("pointercancel", (event) => {
    pointers.delete(event.pointerId);
    drag = null;
  });
  canvas.addEventListener("pointerleave", () => { answers.left(); });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(event.deltaY * 0.0015), [event.offsetX, event.offsetY]);
  }, { passive: false });
  canvas.addEventListener("dblclick", () => {
    seen.reset();
    answers.redraw();
  });
  canvas.addEventListener("keydown", (event) => {
    const step = ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] } as const)[event.key as "ArrowUp"];
    const middle: Pair = [canvas.clientWidth / 2, canvas.clientHeight / 2];
    if (step) {
      event.preventDefault();
      seen.move(step[0] * 0.1, step[1] * 0.1);
      answers.redraw();
    }
    if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 0.8 : 1.25, middle);
    if (event.key === "Enter") answers.entered();
  });
}

/** The slider through snapshots, and the button that plays them; hidden where there is one. */
function film(n: number, go: (at: number) => void): void {
  if (n < 2) return;
  part("time").hidden = false;
  const [slider, play] = [part<HTMLInputElement>("frame"), part("play")];
  slider.max = String(n - 1);
  slider.addEventListener("input", () => { go(Number(slider.value)); });
  let timer = 0;
  play.addEventListener("click", () => {
    if (timer) {
      clearInterval(timer);
      timer = 0;
    }
    else {
      timer = window.setInterval(() => {
        slider.value = String((Number(slider.value) + 1) % n);
        go(Number(slider.value));
      }, STEP);
    }
    play.textContent = timer ? "Pause" : "Play";
  });
}

const canvas = part<HTMLCanvasElement>("view");
const context = canvas.getContext("2d");
if (context) start(pageData<Regions>(), canvas, context);
