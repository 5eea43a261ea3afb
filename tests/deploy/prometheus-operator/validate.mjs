// Reads objects as JSON lines; writes for each what the operator's types say against it, null if nothing.
import readline from "node:readline";
import * as kinds from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

for await (const line of readline.createInterface({ input: process.stdin })) {
  const object = JSON.parse(line);
  let said = null;
  try {
    new kinds[object.kind](object).validate();
  } catch (error) {
    said = String(error);
  }
  console.log(JSON.stringify(said));
}
