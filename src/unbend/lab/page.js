(() => {
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
