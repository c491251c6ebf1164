import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** PEM texts, and files of them for programs that need files. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
  readonly keyFile: string;
  readonly certFile: string;
}

export interface CertificateOptions {
  /** As in subjectAltName: `DNS:localhost,IP:127.0.0.1`. */
  readonly names?: string;
  /** Dates in openssl's ASN1_TIME: `20200101000000Z`. Default: from yesterday for ten days. */
  readonly from?: string;
  readonly to?: string;
  readonly client?: boolean;
}

/**
 * A certificate authority in its own folder, created with the openssl program: real certificates
 * for each case.
 */
export class Authority {
  readonly folder: string;
  readonly cert: string;
  readonly certFile: string;
  private count = 0;

  constructor(name = "Tungstate test authority") {
    this.folder = mkdtempSync(join(tmpdir(), "tungstate-ca-"));
    this.certFile = this.path("ca.pem");
    openssl(
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10"],
      ["-keyout", this.path("ca.key"), "-out", this.certFile, "-subj", `/CN=${name}`],
    );
    this.cert = readFileSync(this.certFile, "utf8");
    // The files that `openssl ca` requires, the only command that sets both dates.
    writeFileSync(this.path("index"), "");
    writeFileSync(
      this.path("ca.conf"),
      [
        "[ca]\ndefault_ca = all\n[all]",
        `database = ${this.path("index")}\nnew_certs_dir = ${this.folder}\nrand_serial = yes`,
        `certificate = ${this.certFile}\nprivate_key = ${this.path("ca.key")}`,
        "default_md = sha256\npolicy = any\nunique_subject = no\n[any]\ncommonName = supplied\n",
      ].join("\n"),
    );
  }

  /** Returns a certificate signed by this authority. */
  issue(options: CertificateOptions = {}): Certificate {
    const { names = "DNS:localhost,IP:127.0.0.1,IP:::1", client = false } = options;
    const base = this.path(`leaf${++this.count}`);
    const { keyFile, certFile } = { keyFile: `${base}.key`, certFile: `${base}.pem` };
    const day = 24 * 60 * 60 * 1000;
    const { from = asn1Time(Date.now() - day), to = asn1Time(Date.now() + 10 * day) } = options;
    openssl(
      [
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        `/CN=leaf ${this.count}`,
      ],
      ["-keyout", keyFile, "-out", `${base}.csr`],
    );
    const usage = client ? "clientAuth" : "serverAuth";
    writeFileSync(`${base}.ext`, `subjectAltName=${names}\nextendedKeyUsage=${usage}\nbasicConstraints=CA:FALSE\n`);
    openssl(
      ["ca", "-batch", "-notext", "-config", this.path("ca.conf"), "-extfile", `${base}.ext`],
      ["-startdate", from, "-enddate", to, "-in", `${base}.csr`, "-out", certFile],
    );
    return { key: readFileSync(keyFile, "utf8"), cert: readFileSync(certFile, "utf8"), keyFile, certFile };
  }

  /** Returns a self-signed certificate. */
  selfSigned(names = "DNS:localhost,IP:127.0.0.1"): Certificate {
    const base = this.path(`self${++this.count}`);
    const { keyFile, certFile } = { keyFile: `${base}.key`, certFile: `${base}.pem` };
    openssl(
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10"],
      ["-subj", "/CN=localhost", "-addext", `subjectAltName=${names}`, "-keyout", keyFile, "-out", certFile],
    );
    return { key: readFileSync(keyFile, "utf8"), cert: readFileSync(certFile, "utf8"), keyFile, certFile };
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function openssl(...args: readonly (readonly string[])[]): void {
  execFileSync("openssl", args.flat(), { stdio: "pipe" });
}

function asn1Time(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`;
}
