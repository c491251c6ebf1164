import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Creates a self-signed certificate for localhost with the openssl program. */
export function selfSigned(folder: string): { certFile: string; cert: string; key: string } {
  const certFile = join(folder, "cert.pem");
  const keyFile = join(folder, "key.pem");
  const how = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const what = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  execFileSync("openssl", [...how, ...what, "-keyout", keyFile, "-out", certFile], { stdio: "ignore" });
  return { certFile, cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
}
