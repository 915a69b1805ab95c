"use strict";
(() => {
  const root = document.documentElement;
  for (const part of document.querySelectorAll(".scripted")) part.hidden = false;

  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  try { const kept = localStorage.getItem("unbend-theme"); if (kept) root.dataset.theme = kept; } catch { /* no storage */ }
  button.hidden = false;
  name();
  dark.addEventListener("change", name);
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("unbend-theme", root.dataset.theme); } catch { /* no storage */ }
    name();
  });

  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      let done = true;
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        done = document.execCommand("copy");
      }
      button.textContent = done ? "Copied" : "Select and copy";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
  for (const film of document.querySelectorAll("details.film")) {
    const video = film.querySelector("video");
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    film.addEventListener("toggle", () => {
      if (!video) return;
      if (film.open && !still.matches) video.play().catch(() => {});
      else video.pause();
    });
  }
})();
