import { randomBytes } from 'node:crypto'
import { type Random, seededRandom } from '../base/random.ts'

/** Seeded from the operating system; UUIDs take all their bits from it. */
export function systemRandom(): Random {
  const seeded = seededRandom(randomBytes(4).readInt32LE())
  return unguessable(seeded)
}

function unguessable(random: Random): Random {
  return {
    float: random.float,
    int: random.int,
    uuid: () => crypto.randomUUID(),
    split: (purpose) => unguessable(random.split(purpose)),
  }
}
