// Reads messages as JSON lines ({binding, headers, contentType, key, value}) and writes each as the event that the SDK
// makes of it, or as {"error": ...}.
import { createInterface } from "node:readline";
import { Kafka, MQTT } from "cloudevents";

const toEvent = {
  kafka: ({ headers, key, value }) => Kafka.toEvent({ headers, key, value, body: value }),
  mqtt: ({ headers, contentType, value }) =>
    MQTT.toEvent({ PUBLISH: { "Content Type": contentType }, headers, body: value }, true),
};

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  try {
    const event = toEvent[message.binding](message);
    event.validate();
    console.log(JSON.stringify(event));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
