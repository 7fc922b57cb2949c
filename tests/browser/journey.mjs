// The whole product in a real browser: the unmodified web frontend against running servers, from registration to the
// last validated checkpoint. README.md says how it is run.
//
// Later steps build on what earlier ones left behind. A failed step leaves screenshots, and the journey goes on.

import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { chromium } from "playwright-core";

const FRONTEND_DIR = process.env.FRONTEND_DIR ?? "";
const FRONTEND = process.env.FRONTEND_URL ?? "http://localhost:5173";
const API = process.env.API_URL ?? "http://localhost:3000";
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const OUTPUT = process.env.OUTPUT_DIR ?? join(tmpdir(), "freehunt-journey");
const PATIENCE = Number(process.env.PATIENCE_MS ?? 20_000);
const DEMO = { company: "company@example.com", freelance: "freelance@example.com", password: "Freehunt-demo-1" };

// The page went elsewhere, or an interface of this machine came or went: no server's doing.
const HARMLESS = ["net::ERR_ABORTED", "net::ERR_NETWORK_CHANGED"];

const run = Date.now().toString(36);
const password = `Journey-${run}-Aa1`;
const company = { email: `acme-${run}@example.com`, username: `acme_${run}`, name: `Acme ${run}` };
const freelance = { email: `lea-${run}@example.com`, username: `lea_${run}`, firstName: "Léa", lastName: `Martin ${run}` };
const mission = { title: `Site vitrine ${run}`, description: "Refonte du site vitrine." };

const steps = [];
const problems = [];
const alerts = [];
let current = "start";

/** A plain square in one colour, as a PNG. */
function picture(red, green, blue, size = 64) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
    const length = Buffer.alloc(4);
    const sum = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body) >>> 0);
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(size * 3, Buffer.from([red, green, blue]))]);
  const pixels = deflateSync(Buffer.concat(Array.from({ length: size }, () => row)));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", pixels), chunk("IEND", Buffer.alloc(0))]);
}

const image = (name, ...colour) => ({ name, mimeType: "image/png", buffer: picture(...colour) });

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

async function until(what, probe, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const value = await probe();
    if (value) return value;
    expect(Date.now() < end, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A visitor: one browser context with one page, everything that goes wrong in it is recorded. */
async function visitor(browser, who) {
  const context = await browser.newContext({ locale: "fr-FR", timezoneId: "Europe/Paris", viewport: { width: 1400, height: 1000 } });
  context.setDefaultTimeout(PATIENCE);
  context.on("response", async (response) => {
    if (response.status() < 400) return;
    const step = current;
    const body = await response.text().catch(() => "(body gone)");
    problems.push({ step, who, kind: "http", status: response.status(), method: response.request().method(),
      url: response.url(), sent: response.request().postData()?.slice(0, 600) ?? "", body: body.slice(0, 400) });
  });
  context.on("requestfailed", (request) => {
    const reason = request.failure()?.errorText ?? "";
    if (HARMLESS.includes(reason)) return;
    problems.push({ step: current, who, kind: "network", method: request.method(), url: request.url(), body: reason });
  });
  context.on("console", (message) => {
    if (message.type() !== "error") return;
    problems.push({ step: current, who, kind: "console", url: message.location().url, body: message.text().slice(0, 400) });
  });
  context.on("weberror", (error) => problems.push({ step: current, who, kind: "exception", body: String(error.error()).slice(0, 400) }));
  context.on("dialog", async (dialog) => {
    alerts.push({ step: current, who, text: dialog.message() });
    await dialog.accept().catch(() => {});
  });
  await context.addInitScript(() => {
    window.sockets = [];
    const Original = window.WebSocket;
    window.WebSocket = class extends Original {
      constructor(...parameters) {
        super(...parameters);
        window.sockets.push(this);
      }
    };
  });
  const page = await context.newPage();
  return { who, context, page };
}

async function step(name, people, act) {
  current = name;
  const before = Date.now();
  try {
    const note = await act();
    steps.push({ name, ok: true, ms: Date.now() - before, note: note ?? "" });
  } catch (error) {
    const shots = [];
    for (const { who, page } of people) {
      const file = join(OUTPUT, `${steps.length + 1}-${name.replaceAll(/[^a-z0-9]+/gi, "-")}-${who}.png`);
      await page.screenshot({ path: file, timeout: 8000 }).then(() => shots.push(file), () => {});
    }
    const where = people.map(({ who, page }) => `${who}: ${page.url()}`).join(" ");
    steps.push({ name, ok: false, ms: Date.now() - before, note: `${String(error.message).split("\n").slice(0, 6).join(" | ")} [${where}] ${shots.join(" ")}` });
  }
  const last = steps.at(-1);
  console.log(`${last.ok ? "pass" : "FAIL"} ${String(last.ms).padStart(6)} ms  ${last.name}${last.note ? `  ${last.note}` : ""}`);
}

const api = (person, path) => person.context.request.get(`${API}${path}`);
const me = async (person) => (await api(person, "/auth/getme")).json();
const toast = (page, text) => page.locator("[data-sonner-toast]").filter({ hasText: text }).first().waitFor();
const visit = (page, path) => page.goto(`${FRONTEND}${path}`, { waitUntil: "load" });

async function alertAfter(person, act) {
  const seen = alerts.length;
  await act();
  return (await until("an alert", () => alerts.slice(seen).find((alert) => alert.who === person.who))).text;
}

async function refuseCookies({ page }) {
  await visit(page, "/about");
  await page.getByRole("button", { name: "Cookies essentiels uniquement" }).click();
}

async function logIn(person, email, word = password) {
  await visit(person.page, "/login");
  await person.page.fill("#email", email);
  await person.page.fill("#password", word);
  await person.page.getByRole("button", { name: "Se connecter" }).last().click();
}

async function loggedIn(person, role) {
  await person.page.waitForURL(new RegExp(`/dashboard/${role}`));
}

async function logOut(person) {
  await person.page.getByRole("link", { name: "Déconnexion" }).first().click();
  await person.page.waitForURL(/\/login/);
  await until("an anonymous session", async () => (await api(person, "/auth/getme")).status() === 401);
}

/** An image on the page that the browser has really decoded. */
async function shown(locator) {
  await locator.first().waitFor();
  await until("a decoded image", () => locator.first().evaluate((element) => element.complete && element.naturalWidth > 0));
  return locator.first().getAttribute("src");
}

async function registerAccount(person, kind, card, account) {
  await visit(person.page, "/register/choice");
  await person.page.getByRole("button", { name: card }).click();
  await person.page.waitForURL(new RegExp(`/register\\?type=${kind}`));
  await fillAccount(person, account, password, password);
  await person.page.getByRole("button", { name: /Continuer/ }).click();
  await person.page.waitForURL(new RegExp(`/register/${kind}$`));
}

async function fillAccount({ page }, account, first, second) {
  await page.getByPlaceholder("votre@email.com").fill(account.email);
  await page.getByPlaceholder("nom_utilisateur").fill(account.username);
  await page.locator("input[type=password]").nth(0).fill(first);
  await page.locator("input[type=password]").nth(1).fill(second);
}

const next = (page) => page.getByRole("button", { name: "Continuer", exact: true }).click();

async function fillDate(page, index, daysAhead) {
  const date = new Date(Date.now() + daysAhead * 86_400_000);
  const parts = { year: date.getFullYear(), month: date.getMonth() + 1, day: date.getDate() };
  for (const [type, value] of Object.entries(parts)) {
    await page.locator(`[role=spinbutton][data-type=${type}]`).nth(index).click();
    await page.keyboard.type(type === "year" ? String(value) : String(value).padStart(2, "0"));
  }
}

/** Fills the mission form; answers the total in euros. */
async function publish({ page }, title, checkpoints, { rate = 500, newSkill = "" } = {}) {
  await visit(page, "/job-postings/new");
  await page.fill("[name=jobTitle]", title);
  await page.fill("[name=jobDescription]", mission.description);
  await page.getByRole("button", { name: "Suivant" }).click();
  const skills = page.getByPlaceholder("Sélectionnez les compétences");
  await skills.click();
  const suggestion = page.locator("[cmdk-item]").first();
  await suggestion.click();
  if (newSkill) {
    await skills.fill(newSkill);
    await page.locator("[cmdk-item]").filter({ hasText: "Add" }).click();
    await page.locator("[data-slot=badge]").filter({ hasText: newSkill }).waitFor();
  }
  await page.fill("[name=tjm]", String(rate));
  await page.fill("[name=seniority]", "3");
  await page.getByRole("button", { name: "Suivant" }).click();
  for (let index = 0; index < checkpoints.length; index += 1) {
    await page.getByRole("button", { name: "Ajouter une étape" }).first().click();
    await page.getByPlaceholder(/Étape 1/).nth(index).fill(checkpoints[index].name);
    await page.locator("[name=checkpointDescription]").nth(index).fill(`${checkpoints[index].name} livré et relu`);
    await fillDate(page, index, checkpoints[index].days);
  }
  const total = Number((await page.getByText(/Montant total: \d+/).first().textContent()).replaceAll(/[^\d.]/g, ""));
  if (checkpoints.length > 1) {
    const share = Math.floor(total / checkpoints.length);
    for (let index = 0; index < checkpoints.length; index += 1) {
      const amount = index === checkpoints.length - 1 ? total - share * index : share;
      await page.locator("input[type=number]").nth(index).fill(String(amount));
    }
  }
  await page.getByRole("button", { name: "Suivant" }).click();
  await page.getByRole("button", { name: "Soumettre" }).click();
  await page.getByText("Annonce créée avec succès! Un paiement").waitFor();
  return total;
}

const postingCard = (page, title) => page.locator("[data-slot=card]").filter({ hasText: title });

async function pay({ page }, title) {
  await visit(page, "/dashboard/job-postings");
  await postingCard(page, title).getByRole("button", { name: /^Payer/ }).click();
  await page.getByRole("button", { name: "Payer", exact: true }).click();
  await page.waitForURL(/\/project\/payment-success\?session_id=cs_/);
  await page.getByText("Paiement réussi").waitFor();
}

async function published(person, title) {
  await until("the posting to be published", async () => {
    const { id } = await me(person);
    const postings = await (await api(person, `/job-postings/user/${id}`)).json();
    return postings.find((posting) => posting.title === title)?.status === "PUBLISHED";
  });
  await visit(person.page, "/dashboard/job-postings");
  await postingCard(person.page, title).getByText("Publiée", { exact: true }).waitFor();
}

async function cancel({ page }, title) {
  await visit(page, "/dashboard/job-postings");
  await postingCard(page, title).getByRole("button", { name: /Annuler l.annonce/ }).click();
  await page.fill("#reason", "Le budget a été revu.");
  await page.getByRole("button", { name: /^Confirmer/ }).click();
}

async function say(person, text) {
  await person.page.getByPlaceholder("Message...").fill(text);
  await person.page.getByPlaceholder("Message...").press("Enter");
}

const reads = (person, text) => person.page.getByText(text, { exact: true }).first().waitFor({ timeout: 10_000 });

async function validate(person, name) {
  const row = person.page.locator("div").filter({ has: person.page.locator("h3", { hasText: name }) })
    .filter({ has: person.page.getByRole("button", { name: "Valider" }) }).last();
  return alertAfter(person, () => row.getByRole("button", { name: "Valider" }).click());
}

async function journey(anonymous, boss, worker) {
  const { page } = boss;
  const hand = worker.page;
  const all = [anonymous, boss, worker];
  const known = {};

  await step("first visit and consent", all, async () => {
    for (const person of all) await refuseCookies(person);
  });
  await step("anonymous: home page", [anonymous], async () => {
    await visit(anonymous.page, "/");
    await anonymous.page.getByRole("link", { name: "Se connecter" }).first().waitFor();
  });
  await step("register: refused passwords are explained", [boss], async () => {
    await visit(page, "/register?type=company");
    await fillAccount(boss, company, password, "another one");
    await page.getByRole("button", { name: /Continuer/ }).click();
    return page.locator(".text-destructive").first().textContent();
  });
  await step("register company account", [boss], () => registerAccount(boss, "company", /Entreprise/, company));
  await step("register company profile with logo", [boss], async () => {
    await page.fill("#companyName", company.name);
    await page.fill("#companySiren", "732829320");
    await next(page);
    await page.fill("#companyAddress", "1 rue de la Paix, 75002 Paris");
    await next(page);
    await page.fill("#companyDescription", "Une entreprise de démonstration.");
    await next(page);
    await page.setInputFiles("#profile-photo", image("logo.png", 200, 30, 30));
    await page.getByRole("button", { name: "Valider", exact: true }).click();
    await toast(page, "Inscription terminée");
    await loggedIn(boss, "company");
  });
  await step("register: taken address is explained", [anonymous], async () => {
    await visit(anonymous.page, "/register?type=freelance");
    await fillAccount(anonymous, company, password, password);
    await anonymous.page.getByRole("button", { name: /Continuer/ }).click();
    return anonymous.page.locator(".text-destructive").first().textContent();
  });
  await step("register freelance account", [worker], () => registerAccount(worker, "freelance", /Freelance/, freelance));
  await step("register freelance profile with avatar", [worker], async () => {
    await hand.getByPlaceholder("Prénom").fill(freelance.firstName);
    await hand.getByPlaceholder("Nom", { exact: true }).fill(freelance.lastName);
    await hand.getByPlaceholder(/Développeur web/).fill("Développeuse web");
    await next(hand);
    await hand.getByPlaceholder(/Paris, Lyon/).fill("Lyon");
    await hand.getByPlaceholder("€ / jour").fill("450");
    await hand.getByPlaceholder("Nombre d'années").fill("4");
    await next(hand);
    await addSkill(hand);
    await next(hand);
    await hand.setInputFiles("#profile-photo", image("avatar.png", 30, 30, 200));
    await hand.getByRole("button", { name: "Valider", exact: true }).click();
    await toast(hand, "Inscription terminée");
    await loggedIn(worker, "freelance");
  });
  await step("log out company", [boss], () => logOut(boss));
  await step("log in: wrong password is explained", [boss], async () => {
    await logIn(boss, company.email, "wrong");
    await page.getByText("Email ou mot de passe incorrect").waitFor();
  });
  await step("log in: demo company", [boss], async () => {
    await logIn(boss, DEMO.company, DEMO.password);
    await loggedIn(boss, "company");
  });
  await step("demo company: dashboard pages", [boss], async () => {
    await visit(page, "/dashboard/company/candidates");
    await page.getByText("Acceptée").first().waitFor();
    await visit(page, "/dashboard/company/projects");
    await page.locator("a[href^='/project/']").first().click();
    await page.getByText("Prototype").first().waitFor();
    await page.getByPlaceholder("Message...").waitFor();
    await visit(page, "/job-postings");
    await page.getByText("boulangerie").first().waitFor();
    await visit(page, "/profile/company");
    await page.locator("#siren").waitFor();
    await logOut(boss);
  });
  await step("log in: demo freelance", [worker], async () => {
    await logOut(worker);
    await logIn(worker, DEMO.freelance, DEMO.password);
    await loggedIn(worker, "freelance");
    await visit(hand, "/dashboard/freelance/projects");
    await hand.locator("a[href^='/project/']").first().waitFor();
    await visit(hand, "/profile/freelance");
    await hand.getByText("Compte Stripe connecté").waitFor();
    await logOut(worker);
  });
  await step("log in again with the new accounts", [boss, worker], async () => {
    await logIn(boss, company.email);
    await loggedIn(boss, "company");
    await logIn(worker, freelance.email);
    await loggedIn(worker, "freelance");
  });
  await step("publish: mission with two checkpoints and a new skill", [boss], async () => {
    const checkpoints = [{ name: "Maquette", days: 5 }, { name: "Livraison", days: 10 }];
    return `${await publish(boss, mission.title, checkpoints, { newSkill: `Skill ${run}` })} €`;
  });
  await step("pay: left at the checkout, still unpaid", [boss], async () => {
    await visit(page, "/dashboard/job-postings");
    await postingCard(page, mission.title).getByRole("button", { name: /^Payer/ }).click();
    await page.getByRole("link", { name: "Annuler" }).click();
    await page.waitForURL(/payment=cancelled/);
    await postingCard(page, mission.title).getByText("En attente de paiement").waitFor();
  });
  await step("pay: checkout", [boss], () => pay(boss, mission.title));
  await step("pay: the posting is published", [boss], () => published(boss, mission.title));
  await step("anonymous: search finds the mission", [anonymous], async () => {
    await visit(anonymous.page, "/job-postings/search");
    await anonymous.page.getByPlaceholder(/Intitulé du poste/).fill(mission.title);
    await anonymous.page.locator("[data-slot=card]").filter({ hasText: mission.title }).first().waitFor();
    await anonymous.page.locator("#location-REMOTE").click();
    await anonymous.page.locator("#seniority-intermediate").click();
    await anonymous.page.waitForURL(/location=REMOTE.*|seniority=intermediate.*/);
    await anonymous.page.locator("[data-slot=card]").filter({ hasText: mission.title }).getByRole("button", { name: /Voir l.offre/ }).click();
    await anonymous.page.waitForURL(/\/job-postings\/[0-9a-f-]{36}/);
  });
  await step("anonymous: mission details", [anonymous], async () => {
    known.posting = anonymous.page.url().split("/").at(-1);
    for (const text of [mission.title, mission.description, "Maquette", "Livraison", company.name]) {
      await anonymous.page.getByText(text).first().waitFor();
    }
    expect((await anonymous.page.getByText(company.email).count()) === 0, "the company's address is shown to everybody");
    await anonymous.page.getByText(`Skill ${run}`).first().waitFor();
    await anonymous.page.reload();
    await anonymous.page.getByText("Postuler à cette offre").waitFor();
  });
  await step("anonymous: freelance search and profile", [anonymous], async () => {
    await visit(anonymous.page, "/freelances/search");
    await anonymous.page.locator("input[name=search]").fill(freelance.lastName);
    await anonymous.page.locator("[data-slot=card]").filter({ hasText: freelance.lastName }).getByRole("button", { name: "Voir le profil" }).click();
    await anonymous.page.waitForURL(/\/freelances\/[0-9a-f-]{36}/);
    await anonymous.page.getByText("Développeuse web").first().waitFor();
  });
  await step("freelance: cannot apply without Stripe", [worker], async () => {
    await visit(hand, `/job-postings/${known.posting}`);
    await hand.getByText("Connecter Stripe pour postuler").waitFor();
    await hand.getByText(company.email).waitFor();
  });
  await step("freelance: connects Stripe", [worker], async () => {
    await visit(hand, "/profile/freelance");
    await hand.getByRole("button", { name: "Connecter mon compte Stripe" }).click();
    await hand.getByRole("button", { name: "Terminer" }).click();
    await hand.waitForURL(/\/profile\/freelance/);
    await hand.getByText("Compte Stripe connecté").waitFor();
    await hand.getByText("Compte Stripe configuré avec succès").waitFor();
  });
  await step("freelance: applies, withdraws, applies again", [worker], async () => {
    await visit(hand, `/job-postings/${known.posting}`);
    await hand.getByRole("button", { name: "Postuler à cette offre" }).click();
    await toast(hand, "Candidature envoyée avec succès");
    await hand.reload();
    await hand.getByRole("button", { name: "Annuler ma candidature" }).click();
    await toast(hand, "Candidature retirée avec succès");
    await hand.getByRole("button", { name: "Postuler à cette offre" }).click();
    await toast(hand, "Candidature envoyée avec succès");
  });
  await step("freelance: contacts the company", [worker], async () => {
    await hand.getByRole("button", { name: /Contacter l.entreprise/ }).click();
    await hand.waitForURL(/\/conversations/);
    await hand.getByPlaceholder("Message...").waitFor();
    await say(worker, `Bonjour ${run}`);
    await reads(worker, `Bonjour ${run}`);
  });
  await step("company: contacts the freelance, same conversation, live answer", [boss, worker], async () => {
    await visit(page, "/dashboard/company/candidates");
    await page.getByRole("button", { name: "Contacter" }).first().click();
    await page.waitForURL(/\/conversations/);
    await page.getByPlaceholder("Message...").waitFor();
    await reads(boss, `Bonjour ${run}`);
    await say(boss, `Enchantée ${run}`);
    await reads(boss, `Enchantée ${run}`);
    await reads(worker, `Enchantée ${run}`);
  });
  await step("company: accepts the application", [boss], async () => {
    await visit(page, "/dashboard/company/candidates");
    await page.getByRole("button", { name: "Accepter" }).click();
    await toast(page, "Un projet a été créé");
    await page.reload();
    await page.getByText("Acceptée").first().waitFor();
  });
  await step("both open the project", [boss, worker], async () => {
    await visit(page, "/dashboard/company/projects");
    await page.locator("a[href^='/project/']").first().click();
    await page.waitForURL(/\/project\/[0-9a-f-]{36}/);
    known.project = page.url().split("/").at(-1);
    await visit(hand, "/dashboard/freelance/projects");
    await hand.locator(`a[href='/project/${known.project}']`).click();
    for (const person of [boss, worker]) {
      await person.page.getByText("Maquette").first().waitFor();
      await person.page.getByPlaceholder("Message...").waitFor();
    }
  });
  await step("chat: both avatars are shown", [boss, worker], async () => {
    for (const person of [boss, worker]) await shown(person.page.locator("img[alt=Avatar]"));
  });
  await step("chat: live in both browsers", [boss, worker], async () => {
    await say(boss, `Message de l'entreprise ${run}`);
    for (const person of [boss, worker]) await reads(person, `Message de l'entreprise ${run}`);
    await say(worker, `Message de la freelance ${run}`);
    for (const person of [boss, worker]) await reads(person, `Message de la freelance ${run}`);
    for (const person of [boss, worker]) {
      const bubbles = await person.page.getByText(`Message de la freelance ${run}`, { exact: true }).count();
      expect(bubbles === 1, `${person.who} sees ${bubbles} bubbles`);
      for (const avatar of await person.page.locator("img[alt=Avatar]").all()) await shown(avatar);
    }
  });
  await step("chat: still there after a reload", [worker], async () => {
    await hand.reload();
    await reads(worker, `Message de l'entreprise ${run}`);
    await say(worker, `Après rechargement ${run}`);
    for (const person of [boss, worker]) await reads(person, `Après rechargement ${run}`);
  });
  await step("chat: live again after every connection broke", [boss, worker], async () => {
    const open = () => hand.evaluate(() => window.sockets.filter((socket) => socket.readyState === WebSocket.OPEN).length);
    const before = await until("live connections", open);
    await hand.evaluate(() => window.sockets.forEach((socket) => socket.close()));
    await say(boss, `Pendant la coupure ${run}`);
    await reads(worker, `Pendant la coupure ${run}`);
    await until("new connections", async () => (await open()) >= before);
    await say(boss, `Après la coupure ${run}`);
    await reads(worker, `Après la coupure ${run}`);
  });
  await step("freelance submits the first checkpoint", [worker], async () => {
    const text = await validate(worker, "Maquette");
    expect(text.includes("soumis pour validation"), text);
  });
  await step("freelance submits it twice without harm", [worker], async () => {
    const text = await validate(worker, "Maquette");
    expect(text.includes("soumis pour validation"), text);
  });
  await step("company validates the first checkpoint", [boss], async () => {
    await page.reload();
    const text = await validate(boss, "Maquette");
    expect(text.includes("validé avec succès"), text);
    await page.getByText("Validé", { exact: true }).first().waitFor();
    expect((await (await api(boss, `/projects/${known.project}`)).json()).status !== "COMPLETED", "completed too early");
  });
  await step("last checkpoint completes the project", [boss, worker], async () => {
    const submitted = await validate(worker, "Livraison");
    expect(submitted.includes("soumis pour validation"), submitted);
    await page.reload();
    const text = await validate(boss, "Livraison");
    expect(text.includes("validé avec succès"), text);
    const project = await (await api(boss, `/projects/${known.project}`)).json();
    expect(project.status === "COMPLETED", `project is ${project.status}`);
    await page.reload();
    await page.getByText("Validé", { exact: true }).nth(1).waitFor();
    expect((await page.getByRole("button", { name: "Valider" }).count()) === 0, "something is left to validate");
  });
  await step("the filled mission says so", [worker], async () => {
    await visit(hand, `/job-postings/${known.posting}`);
    await hand.getByText("Cette offre a déjà été pourvue").waitFor();
  });
  await step("company: pays a second mission and cancels it with refund", [boss], async () => {
    // Three days at 333.33 € are 999.99 €: the cents survive the way to the payment provider and back.
    await publish(boss, `Seconde ${run}`, [{ name: "Unique", days: 2 }], { rate: 333.33 });
    await pay(boss, `Seconde ${run}`);
    await published(boss, `Seconde ${run}`);
    await cancel(boss, `Seconde ${run}`);
    await toast(page, "Remboursement traité : 999.99€");
    const text = (await page.locator("[data-sonner-toast]").allTextContents()).join(" / ");
    await postingCard(page, `Seconde ${run}`).getByText("Annulée").waitFor();
    return text;
  });
  await step("company: cancels an unpaid mission", [boss], async () => {
    await publish(boss, `Troisième ${run}`, [{ name: "Unique", days: 3 }]);
    await cancel(boss, `Troisième ${run}`);
    await postingCard(page, `Troisième ${run}`).getByText("Annulée").waitFor();
  });
  await step("company: edits its profile and logo", [boss], () => editProfile(boss, "/profile/company", { name: `${company.name} SAS` }, [30, 160, 30]));
  await step("freelance: edits the profile and avatar", [worker], async () => {
    await editProfile(worker, "/profile/freelance", { location: "Nantes", averageDailyRate: "475.5" }, [160, 30, 160]);
    await hand.getByText("Compte Stripe connecté").waitFor();
  });
  await step("conversations: list, filter, live message", [boss, worker], async () => {
    for (const person of [boss, worker]) {
      await visit(person.page, "/conversations");
      await person.page.getByText("Projets (1)").click();
      await person.page.getByText(`Après la coupure ${run}`).first().click();
      await person.page.getByPlaceholder("Message...").waitFor();
      await shown(person.page.locator("img[alt=Avatar]"));
    }
    await say(boss, `Depuis la liste ${run}`);
    for (const person of [boss, worker]) await reads(person, `Depuis la liste ${run}`);
  });
  await step("an outsider sees neither project nor conversation", [anonymous], async () => {
    await logIn(anonymous, DEMO.freelance, DEMO.password);
    await loggedIn(anonymous, "freelance");
    await visit(anonymous.page, `/project/${known.project}`);
    await anonymous.page.waitForLoadState("networkidle");
    expect((await anonymous.page.getByText("Maquette").count()) === 0, "the outsider sees the checkpoints");
    await logOut(anonymous);
  });
  await step("both log out", [boss, worker], async () => {
    for (const person of [boss, worker]) await logOut(person);
  });
  await step("no server failed, no answer was kept from the page", [], async () => {
    const grave = problems.filter(({ kind, status }) => kind === "network" || status >= 500);
    expect(grave.length === 0, grave.map(({ method, url, status, body }) => `${method} ${url} ${status ?? ""} ${body}`).join("; "));
  });
}

async function addSkill(page) {
  const field = page.getByPlaceholder("Ajouter une compétence technique");
  const skills = await (await page.context().request.get(`${API}/skills`)).json();
  const skill = skills.find(({ type }) => type === "TECHNICAL");
  await field.fill(skill.name);
  await field.press("Enter");
  await page.getByText("Compétences techniques :").waitFor();
}

/** Saves the profile with new values and a new picture, and finds both again after a reload. */
async function editProfile(person, path, fields, colour) {
  const { page } = person;
  await visit(page, path);
  const before = await shown(page.locator("form img"));
  for (const [name, value] of Object.entries(fields)) await page.fill(`#${name}`, value);
  await page.locator("input[type=file]").setInputFiles(image("new.png", ...colour));
  const text = await alertAfter(person, () => page.getByRole("button", { name: /Enregistrer/ }).click());
  expect(text === "Profil mis à jour avec succès !", text);
  await page.reload();
  for (const [name, value] of Object.entries(fields)) {
    await page.locator(`#${name}`).waitFor();
    await until(`${name} saved`, async () => (await page.inputValue(`#${name}`)) === value);
  }
  const after = await until("a new picture", async () => {
    const source = await shown(page.locator("form img"));
    return source !== before && !source.startsWith("data:") && source;
  });
  expect(/^https?:|^\/_next\/image\?/.test(after), `picture address ${after}`);
}

async function startFrontend() {
  if (!FRONTEND_DIR) return null;
  const port = new URL(FRONTEND).port;
  const child = spawn("node", ["node_modules/next/dist/bin/next", "start", "-p", port], {
    cwd: FRONTEND_DIR, stdio: "ignore", env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1" },
  });
  await until("the frontend", () => fetch(FRONTEND).then((response) => response.ok, () => false), 60_000);
  return child;
}

async function main() {
  mkdirSync(OUTPUT, { recursive: true });
  const frontend = await startFrontend();
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
  try {
    const people = [];
    for (const who of ["anonymous", "company", "freelance"]) people.push(await visitor(browser, who));
    await journey(...people);
  } finally {
    await browser.close();
    frontend?.kill();
  }
  writeFileSync(join(OUTPUT, "report.json"), JSON.stringify({ steps, problems, alerts }, null, 1));
  const failed = steps.filter(({ ok }) => !ok);
  console.log(`${steps.length - failed.length} passed, ${failed.length} failed; details in ${join(OUTPUT, "report.json")}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

await main();
