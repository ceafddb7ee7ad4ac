"""Verifies requests as the official library of Standard Webhooks for Python does: the body becomes text, the text is
signed, and is parsed once the signature is right. Takes and gives what verify.mjs does."""
import base64, hashlib, hmac, json, sys


def verify(secret, headers, body, options):
    headers = {name.lower(): value for name, value in headers.items()}
    try:
        text = base64.b64decode(body).decode()
    except UnicodeDecodeError:
        return "UnicodeDecodeError"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{text}".encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    want = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    if want not in headers["webhook-signature"].split(" "):
        return "No matching signature found"
    if options and not options.get("jsonParse", True):
        return "verified"
    try:
        return "verified " + json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    except json.JSONDecodeError:
        return "SyntaxError"


print(json.dumps([verify(**request) for request in json.load(sys.stdin)]))
