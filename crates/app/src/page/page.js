// Clips play while they are in view, unless the reader prefers stillness; filters hide questions.
// Without this script everything is still there, and clips have their browser's own controls.
"use strict";

const clips = [...document.querySelectorAll("video")];
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const toggle = document.getElementById("toggle");
let playing = !calm.matches;
const inView = new Set();

function settle() {
  for (const clip of clips) {
    if (playing && inView.has(clip)) clip.play().catch(() => {});
    else clip.pause();
  }
  toggle.textContent = playing ? "Pause clips" : "Play clips";
  toggle.setAttribute("aria-pressed", String(!playing));
}

if (clips.length > 0) {
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) inView.add(entry.target);
      else inView.delete(entry.target);
    }
    settle();
  });
  for (const clip of clips) {
    clip.controls = false;
    clip.addEventListener("click", () => (clip.paused ? clip.play().catch(() => {}) : clip.pause()));
    watcher.observe(clip);
  }
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    playing = !playing;
    settle();
  });
  calm.addEventListener("change", () => {
    playing = !calm.matches;
    settle();
  });
  settle();
}

const filters = [...document.querySelectorAll("[data-filter]")];
const questions = [...document.querySelectorAll(".question")];
for (const button of filters) {
  button.closest(".filters").hidden = false;
  button.addEventListener("click", () => {
    const wanted = button.dataset.filter;
    for (const other of filters) other.setAttribute("aria-pressed", String(other === button));
    for (const question of questions) {
      question.hidden = wanted !== "all" && !question.dataset.tags.split(" ").includes(wanted);
    }
    const shown = questions.filter((question) => !question.hidden).length;
    document.getElementById("shown").textContent = `${shown} of ${questions.length} questions shown`;
  });
}
