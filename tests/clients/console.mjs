// Goes through the console as a person does, in Chromium: with the keyboard, on a phone, with a passkey.
// console.mjs LINK ANOTHER_LINK [FOLDER_FOR_PICTURES]
// Prints what it saw as JSON.
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.TEST_CLIENTS_DIR, "package.json"));
const load = async (name) => import(require.resolve(name));
const { default: chromium } = await load("@sparticuz/chromium");
const { default: puppeteer } = await load("puppeteer-core");

const [link, other, pictures] = process.argv.slice(2);
const origin = new URL(link).origin;
const browser = await puppeteer.launch({
  executablePath: await chromium.executablePath(),
  args: ["--no-sandbox", "--disable-gpu"],
  headless: "shell",
});
const seen = { errors: [] };
try {
  const page = await browser.newPage();
  page.on("dialog", async (dialog) => {
    seen.errors.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("console", (message) => {
    // A refused decision is answered with a status that Chromium logs.
    if (message.type() === "error" && !message.text().includes("status of 4")) seen.errors.push(message.text());
  });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
  const picture = async (name) => {
    if (pictures) await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
  };
  const text = (selector) => page.$eval(selector, (element) => element.textContent.trim());
  const texts = (selector) => page.$$eval(selector, (all) => all.map((one) => one.textContent.trim()));
  // Tabs until what has the focus says `wanted`.
  const tabTo = async (wanted) => {
    for (let n = 0; n < 40; n++) {
      await page.keyboard.press("Tab");
      if ((await page.evaluate(() => document.activeElement.textContent.trim())).includes(wanted)) return;
    }
    throw new Error(`the keyboard does not reach ${wanted}`);
  };
  // The page after a click, unless the page itself says what is wrong.
  const press = async (selector) => {
    const problem = page.waitForSelector("form .problem:not([hidden])").then((element) =>
      element.evaluate((one) => one.textContent).then((said) => Promise.reject(new Error(said))),
    );
    problem.catch(() => {});
    await Promise.all([Promise.race([page.waitForNavigation(), problem]), page.click(selector)]);
  };
  const follow = async (key) => Promise.all([page.waitForNavigation(), page.keyboard.press(key)]);

  seen.stranger = (await page.goto(`${origin}/console`)).status();
  await page.goto(link);
  await tabTo("Show what waits");
  await follow("Enter");
  seen.waiting = await texts("ul.plans:not(.past) > li > a");
  await picture("approvals");
  seen.secondUse = (await (await browser.createBrowserContext()).newPage().then((p) => p.goto(link))).status();

  // The first plan: looked at and approved with the keyboard alone.
  await tabTo("3 records changed");
  await follow("Enter");
  seen.changes = await page.$$eval("table", (tables) =>
    tables.map((table) => ({
      caption: table.querySelector("caption").textContent.replace(/\s+/g, " ").trim(),
      rows: [...table.querySelectorAll("tbody tr")].map((row) =>
        [...row.cells].map((cell) => cell.textContent.trim()),
      ),
    })),
  );
  seen.images = (await page.$$("main img, main script, main iframe")).length;
  await picture("plan");
  await page.setViewport({ width: 360, height: 740, isMobile: true, hasTouch: true });
  await page.reload();
  seen.phoneOverflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  seen.smallButtons = await page.$$eval("form.decide button", (all) =>
    all.filter((one) => one.getBoundingClientRect().height < 44).length,
  );
  await picture("plan-on-a-phone");
  await page.setViewport({ width: 1000, height: 800 });
  await page.reload();
  // With a passkey required and none shown, it is refused, and says so.
  seen.needsPasskey = (await page.$("form.decide[data-passkey]")) !== null;
  if (seen.needsPasskey) {
    await page.evaluate(() => document.querySelector("form.decide").removeAttribute("data-passkey"));
    const [answer] = await Promise.all([
      page.waitForNavigation(),
      page.evaluate(() => {
        const form = document.createElement("form");
        const old = document.querySelector("form.decide");
        form.method = "post";
        form.action = old.action;
        form.append(old.elements.form_key.cloneNode());
        const decision = document.createElement("input");
        decision.name = "decision";
        decision.value = "approve";
        form.append(decision);
        document.body.append(form);
        form.submit();
      }),
    ]);
    seen.withoutPasskey = [answer.status(), await text("main > .problem")];

    const devtools = await page.createCDPSession();
    await devtools.send("WebAuthn.enable");
    const authenticator = {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true,
      isUserVerified: true, automaticPresenceSimulation: true,
    };
    const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", { options: authenticator });
    const plan = page.url();
    const add = async (name) => {
      await page.goto(`${origin}/console/passkeys`);
      await page.type("#name", name);
      await press("button.yes");
      return texts("ul.plans > li > strong");
    };
    seen.passkeys = await add("laptop");
    await picture("passkeys");
    // Another device: nobody adds one without showing one of those that are there.
    await devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
    await page.goto(`${origin}/console/passkeys`);
    await page.type("#name", "stranger");
    await page.click("button.yes");
    await page.waitForSelector("form .problem:not([hidden])");
    seen.stillOne = await texts("ul.plans > li > strong");
    await devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
    await page.goto(plan);
    await devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
  }
  await page.type("#note", "looks right");
  await tabTo("Approve");
  await follow("Enter");
  seen.after = await text("dl");
  seen.buttonsLeft = (await page.$$("form.decide")).length;

  // The second is rejected by somebody else who is signed in.
  const guest = await (await browser.createBrowserContext()).newPage();
  await guest.goto(other);
  await Promise.all([guest.waitForNavigation(), guest.click("main a")]);
  await Promise.all([guest.waitForNavigation(), guest.click("ul.plans:not(.past) > li > a")]);
  await Promise.all([guest.waitForNavigation(), guest.click("button.no")]);
  seen.rejected = await guest.$eval("dl", (element) => element.textContent);
  // A form of another page is not taken, and who signs out is out.
  seen.forged = await guest.evaluate(async () => {
    const body = new URLSearchParams({ form_key: "x", decision: "approve" });
    return (await fetch(location.href, { method: "POST", body })).status;
  });
  await Promise.all([guest.waitForNavigation(), guest.click("button.plain")]);
  seen.signedOut = (await guest.goto(`${origin}/console`)).status();
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
