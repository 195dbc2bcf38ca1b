import { parseArgs } from 'node:util'

export const help = `train.js [options]: trains a small Llama on bytes, data-parallel over TCP

  --data PATH             file or folder of text (default: MILLWRIGHT_DATA_DIR, else the Markdown of this installation)
  --steps N               optimiser steps (400)
  --seconds N             stop so many seconds after this start, whatever the step (0: never)
  --batch N               sequences per worker and step (4)
  --width, --layers, --heads, --ffn, --context   sizes of the model (64, 2, 4, 192, 128)
  --lr X                  peak learning rate (8e-3), after --warmup N steps (20); a cosine to a tenth at --steps
  --seed N                of the start and of the batches (1)
  --checkpoint-every N    steps between checkpoints (25)
  --checkpoints DIR       where they go (MILLWRIGHT_CHECKPOINT_DIR)
  --out DIR               where model.gguf and metrics.json go (MILLWRIGHT_OUTPUT_DIR)
  --step-delay MS         slows every step down, for trying failures

Workers find each other by torchrun's MASTER_ADDR, MASTER_PORT, WORLD_SIZE and RANK. See README.md.`

export interface Options {
  data: string | undefined
  out: string | undefined
  checkpoints: string | undefined
  steps: number
  seconds: number
  batch: number
  width: number
  layers: number
  heads: number
  ffn: number
  context: number
  rate: number
  warmup: number
  seed: number
  checkpointEvery: number
  stepDelay: number
}

const text = { type: 'string' } as const
const flags = {
  data: text,
  out: text,
  checkpoints: text,
  steps: text,
  seconds: text,
  batch: text,
  width: text,
  layers: text,
  heads: text,
  ffn: text,
  context: text,
  lr: text,
  warmup: text,
  seed: text,
  'checkpoint-every': text,
  'step-delay': text,
  help: { type: 'boolean' },
} as const

/** Throws a sentence that names the flag, what was found and what is allowed. */
export function readOptions(argv: string[]): Options | 'help' {
  const { tokens } = parseArgs({ args: argv, options: flags, strict: false, tokens: true })
  for (const token of tokens) {
    if (token.kind === 'option' && !(token.name in flags)) throw new Error(unknown(token.rawName))
    if (token.kind === 'positional') throw new Error(`"${token.value}": there are only options; see --help`)
  }
  const { values } = parseArgs({ args: argv, options: flags, strict: true })
  if (values.help) return 'help'
  const number = (
    name: Exclude<keyof typeof flags, 'help'>,
    otherwise: number,
    min: number,
    max: number,
    whole = true,
  ) => {
    const found = values[name]
    if (found === undefined) return otherwise
    const value = Number(found)
    if (found === '' || Number.isNaN(value) || value < min || value > max || (whole && !Number.isInteger(value))) {
      throw new Error(`--${name}: found "${found}"; allowed are ${whole ? 'whole ' : ''}numbers from ${min} to ${max}`)
    }
    return value
  }
  const options = {
    data: values.data,
    out: values.out,
    checkpoints: values.checkpoints,
    steps: number('steps', 400, 1, 10_000_000),
    seconds: number('seconds', 0, 0, 1e9),
    batch: number('batch', 4, 1, 4096),
    width: number('width', 64, 8, 4096),
    layers: number('layers', 2, 1, 128),
    heads: number('heads', 4, 1, 128),
    ffn: number('ffn', 192, 8, 65_536),
    context: number('context', 128, 8, 8192),
    rate: number('lr', 8e-3, 0, 1, false),
    warmup: number('warmup', 20, 1, 1e6),
    seed: number('seed', 1, 0, 2_147_483_647),
    checkpointEvery: number('checkpoint-every', 25, 1, 1e9),
    stepDelay: number('step-delay', 0, 0, 60_000),
  }
  if (options.width % options.heads !== 0 || (options.width / options.heads) % 2 !== 0) {
    throw new Error(`--width ${options.width} must be --heads ${options.heads} times an even number`)
  }
  return options
}

function unknown(found: string): string {
  const names = Object.keys(flags).map((name) => `--${name}`)
  const [nearest] = names.sort((a, b) => distance(found, a) - distance(found, b))
  return `there is no option ${found}; the nearest is ${nearest}, and --help lists all`
}

/** Levenshtein's: how many letters to insert, drop or change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const above = row
    row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, change)
    }
  }
  return row[b.length] ?? 0
}
