"use strict";
const outcome = document.getElementById("outcome");
const answer = new URLSearchParams(location.search);
// The code must not stay in the history or leak by a referrer.
history.replaceState(null, "", location.pathname);
const say = (text) => { outcome.textContent = text; };
const call = async (path, body) => {
  const reply = await fetch("/api/v1/oidc/" + path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const told = await reply.json().catch(() => ({ title: String(reply.status) }));
  if (reply.ok) return told;
  throw new Error([told.title, told.detail, told.nextStep].filter(Boolean).join(" — "));
};
const run = async () => {
  if (answer.has("error")) throw new Error(answer.get("error_description") || answer.get("error"));
  if (!answer.has("code")) {
    const begun = await call("begin", {});
    sessionStorage.setItem("tidm-oidc", begun.handle);
    location.assign(begun.url);
    return;
  }
  const handle = sessionStorage.getItem("tidm-oidc") || "";
  sessionStorage.removeItem("tidm-oidc");
  const body = { handle, code: answer.get("code"), state: answer.get("state") || "" };
  if (answer.has("iss")) body.iss = answer.get("iss");
  const session = await call("finish", body);
  sessionStorage.setItem("tidm-session", session.token);
  say("已登录。 · Signed in.");
};
run().catch((error) => say(error.message));
