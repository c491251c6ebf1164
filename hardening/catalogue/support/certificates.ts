import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** PEM texts. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** A certificate authority in its own folder, created with the openssl program. */
export class Authority {
  readonly cert: string;
  readonly certFile: string;
  private readonly folder = mkdtempSync(join(tmpdir(), "tungstate-hardening-"));
  private readonly keyFile: string;
  private count = 0;

  constructor() {
    this.certFile = join(this.folder, "ca.pem");
    this.keyFile = join(this.folder, "ca.key");
    openssl(
      "req",
      "-x509",
      ...EC,
      "-days",
      "10",
      "-subj",
      "/CN=authority",
      "-keyout",
      this.keyFile,
      "-out",
      this.certFile,
    );
    this.cert = readFileSync(this.certFile, "utf8");
    writeFileSync(join(this.folder, "index"), "");
    // only `openssl ca` can set both dates
    const lines = ["[ca]", "default_ca = all", "[all]", `database = ${join(this.folder, "index")}`];
    lines.push(`new_certs_dir = ${this.folder}`, "rand_serial = yes", "default_md = sha256", "unique_subject = no");
    lines.push(`certificate = ${this.certFile}`, `private_key = ${this.keyFile}`, "policy = any");
    lines.push("[any]", "commonName = supplied", "");
    writeFileSync(join(this.folder, "ca.conf"), lines.join("\n"));
  }

  /**
   * Returns a certificate for `names`, as in subjectAltName, that is valid until so many days
   * before or after now.
   */
  issue(names: string, days = 10): Certificate {
    const base = join(this.folder, `${++this.count}`);
    openssl("req", "-new", ...EC, "-subj", `/CN=${this.count}`, "-keyout", `${base}.key`, "-out", `${base}.csr`);
    writeFileSync(`${base}.ext`, `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`);
    const dates = ["-startdate", asn1Time(-100), "-enddate", asn1Time(days)];
    const how = ["-batch", "-notext", "-config", join(this.folder, "ca.conf"), "-extfile", `${base}.ext`];
    openssl("ca", ...how, ...dates, "-in", `${base}.csr`, "-out", `${base}.pem`);
    return { key: readFileSync(`${base}.key`, "utf8"), cert: readFileSync(`${base}.pem`, "utf8") };
  }

  /** Returns a self-signed certificate. */
  selfSigned(names: string): Certificate {
    const base = join(this.folder, `${++this.count}`);
    const what = ["-days", "10", "-subj", "/CN=localhost", "-addext", `subjectAltName=${names}`];
    openssl("req", "-x509", ...EC, ...what, "-keyout", `${base}.key`, "-out", `${base}.pem`);
    return { key: readFileSync(`${base}.key`, "utf8"), cert: readFileSync(`${base}.pem`, "utf8") };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: "pipe" });
}

function asn1Time(days: number): string {
  return `${new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`;
}
