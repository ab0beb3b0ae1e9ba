// Screen readers read the text of this element when it changes.
const announcement = document.getElementById("status");

// Buttons that copy. Without scripts they stay hidden, and a click selects what they would copy.
async function copy(element) {
  if (navigator.clipboard) return navigator.clipboard.writeText(element.textContent);
  // Without TLS, browsers offer no clipboard.
  getSelection().selectAllChildren(element);
  if (!document.execCommand("copy")) throw new Error("not copied");
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const outcome = await copy(document.getElementById(button.dataset.copy)).then(() => "Copied", () => "Not copied");
    announcement.textContent = button.textContent = outcome;
    setTimeout(() => {
      button.textContent = "Copy";
      announcement.textContent = "";
    }, 2000);
  });
}

// Search as you type. The form also works without scripts.
const form = document.querySelector("form.find");
let timer;
let request;

async function search() {
  request?.abort();
  request = new AbortController();
  const address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
  try {
    const response = await fetch(address, { signal: request.signal });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const list = page.getElementById("list");
    if (!list) return form.submit();
    document.getElementById("list").replaceWith(list);
    history.replaceState(null, "", address);
    announcement.textContent = list.querySelector(".count").textContent;
  } catch (error) {
    // A newer search replaces an aborted one. After any other failure, the browser shows its own page.
    if (error.name !== "AbortError") form.submit();
  }
}

form?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(search, 150);
});
