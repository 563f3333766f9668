// The search box with its suggestions (WAI-ARIA: editable combobox with a list), and the list of sorts.
// htmx fetches the suggestions; without JavaScript the form works as it is.
"use strict";

(() => {
  const form = document.getElementById("search");
  const box = document.getElementById("q");
  const list = document.getElementById("suggestions");
  const sort = document.getElementById("sort");
  let current = -1;

  box.setAttribute("role", "combobox");
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-controls", list.id);

  const options = () => [...list.querySelectorAll("[role=option]")];

  function choose(place) {
    const all = options();
    current = place;
    all.forEach((option, index) => option.setAttribute("aria-selected", String(index === place)));
    if (place < 0) {
      box.removeAttribute("aria-activedescendant");
    } else {
      box.setAttribute("aria-activedescendant", all[place].id);
      all[place].scrollIntoView({ block: "nearest" });
    }
  }

  function show(shown) {
    list.hidden = !shown;
    box.setAttribute("aria-expanded", String(shown));
    choose(-1);
  }

  function take(option) {
    box.value = option.dataset.query;
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
    show(false);
    // A field goes on with its values.
    if (box.value.endsWith(":")) box.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // Only the last word is completed, so there is nothing to complete in the middle.
  box.addEventListener("htmx:beforeRequest", (event) => {
    if (box.selectionEnd !== box.value.length) {
      event.preventDefault();
      show(false);
    }
  });
  list.addEventListener("htmx:afterSwap", () => {
    show(document.activeElement === box && options().length > 0);
  });

  box.addEventListener("keydown", (event) => {
    const count = options().length;
    if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      show(false);
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && count && !event.isComposing) {
      event.preventDefault();
      if (list.hidden) show(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      // From the box to the first or last one, and from there back to the box.
      choose(((current + 1 + step + count + 1) % (count + 1)) - 1);
    } else if (event.key === "Enter" && !list.hidden && current >= 0 && !event.isComposing) {
      event.preventDefault();
      take(options()[current]);
    }
  });
  box.addEventListener("blur", () => show(false));
  // The box keeps the focus while somebody clicks.
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) take(option);
  });

  if (sort) sort.addEventListener("change", () => form.requestSubmit());
  // The address holds nothing that says nothing.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });
  show(false);
})();
