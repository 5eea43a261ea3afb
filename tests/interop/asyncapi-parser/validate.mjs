// Reads AsyncAPI documents as JSON lines and writes for each what the parser makes of it:
// {"version", "servers", "channels", "problems"}; problems are errors and warnings, hints are left out.
import { createInterface } from "node:readline";
import { DiagnosticSeverity, Parser } from "@asyncapi/parser";

const parser = new Parser();

for await (const line of createInterface({ input: process.stdin })) {
  const { document, diagnostics } = await parser.parse(line);
  const problems = diagnostics
    .filter(({ severity }) => severity <= DiagnosticSeverity.Warning)
    .map(({ code, message, path }) => `${code} at ${path.join("/")}: ${message}`);
  const channels = Object.fromEntries(
    (document?.channels().all() ?? []).map((channel) => [
      channel.address(),
      channel.messages().all().map((message) => message.name()),
    ]),
  );
  const servers = (document?.servers().all() ?? []).map((server) => server.url());
  console.log(JSON.stringify({ version: document?.version() ?? null, servers, channels, problems }));
}
