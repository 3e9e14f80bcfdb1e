"use strict";
const form = document.getElementById("form");
const outcome = document.getElementById("outcome");
const token = new URLSearchParams(location.search).get("token") || "";
// The token must not stay in the history or leak by a referrer.
history.replaceState(null, "", location.pathname);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = { token, name: form.elements.name.value, password: form.elements.password.value };
  const answer = await fetch("/api/v1/setup", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  if (answer.ok) {
    form.hidden = true;
    outcome.textContent = "完成。现在可以登录。 · Done. You can sign in now.";
    return;
  }
  const problem = await answer.json().catch(() => ({ title: String(answer.status) }));
  outcome.textContent = [problem.title, problem.detail, problem.nextStep].filter(Boolean).join(" — ");
});
