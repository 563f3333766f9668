// What makes the page of a lora handier: buttons that copy, a choice of levels that needs no button.
// Forms are sent by htmx; without JavaScript they work as they are.
"use strict";

(() => {
  // What cannot work without scripts is only shown with them.
  document.documentElement.classList.add("scripted");

  async function copy(text) {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return;
    }
    // Browsers have no clipboard for pages that came without TLS from another machine.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    copy(button.dataset.copy).then(
      () => { button.textContent = "Copied"; },
      () => { button.textContent = "Not copied"; },
    );
  });
  const level = document.getElementById("upto");
  if (level) level.addEventListener("change", () => level.form.requestSubmit());
})();
