// Verifies requests with the official library of Standard Webhooks for Node. Takes a JSON list of
// {secret, headers, body (base64), options} on standard input, and prints a list of what came of each.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const told = JSON.parse(readFileSync(0, "utf8")).map(({ secret, headers, body, options }) => {
  try {
    const parsed = new Webhook(secret).verify(Buffer.from(body, "base64"), headers, options);
    return parsed === undefined ? "verified" : "verified " + JSON.stringify(parsed);
  } catch (error) {
    return error.name === "WebhookVerificationError" ? error.message : error.name;
  }
});
console.log(JSON.stringify(told));
