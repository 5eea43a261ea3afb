// What the words of `/status` mean to somebody who has never seen the bridge.

const CAUSES = {
  first_start: "nothing was heard before the first start",
  unclean_start: "the bridge was killed",
  stopped: "the bridge was stopped",
  journal_lost: "the journal was lost",
  closed: "Portos closed the connection",
  silence: "Portos fell silent",
  network: "the connection broke",
  unauthorized: "the login was refused",
  protocol: "Portos answered what nobody understands",
  oversize: "Portos sent too large a message",
  planned: "the connection was changed on purpose",
  deaf: "Portos had forgotten the subscription",
  shed: "there was no room to store anything",
  other: "for another reason",
};

const REASONS = {
  too_large: "larger than the broker takes",
  reserved_topic: "would go to a topic of the bridge's own",
  topic_not_allowed: "would go to a topic beyond TOPIC_ALLOW",
  refused: "refused by the broker",
  invalid: "a name in it is no Unicode",
  json: "no JSON",
  encoding: "no UTF-8",
  shape: "no notification",
  corrupt: "damaged on the disk",
  other: "for another reason",
};

/** What stands in the place of a sink where a dead letter is of none. */
const HOLDERS = new Map([["journal", "the journal"], ["source", "what Portos sent"]]);

const known = (words, word) => (Object.hasOwn(words, word) ? words[word] : words.other);
