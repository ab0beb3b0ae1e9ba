// Buttons that copy. Without scripts they stay hidden, and a click selects what they would copy.
const said = document.getElementById("said");

async function copy(element) {
  if (navigator.clipboard) return navigator.clipboard.writeText(element.textContent);
  // Browsers have no clipboard for pages that did not come over TLS.
  getSelection().selectAllChildren(element);
  if (!document.execCommand("copy")) throw new Error("not copied");
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const told = await copy(document.getElementById(button.dataset.copy)).then(() => "Copied", () => "Not copied");
    said.textContent = button.textContent = told;
    setTimeout(() => {
      button.textContent = "Copy";
      said.textContent = "";
    }, 2000);
  });
}
