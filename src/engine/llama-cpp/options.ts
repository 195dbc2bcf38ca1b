import { readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'

export interface LlamaCppOptions {
  modelPath: string
  host: string
  port: number
  names: string[]
  /** Tokens per sequence; undefined: what the model was trained on, up to 8,192. */
  context: number | undefined
  parallel: number
  threads: number
  queue: number
  bodyBytesMax: number
}

export const usageText = `millwright-engine llama.cpp: serve a GGUF model over the OpenAI protocol

  --model PATH      a .gguf file, or a folder with one   (default $MILLWRIGHT_MODEL_DIR)
  --port N          0 picks a free one                   (default $PORT)
  --host ADDRESS    (default 127.0.0.1)
  --name NAME       served as; may be repeated           (default $MILLWRIGHT_MODEL_NAME, else the file's name)
  --context N       tokens per request                   (default what the model was trained on, at most 8192)
  --parallel N      requests served at once              (default 4)
  --threads N       (default 1)
  --queue N         requests that may wait for a seat    (default 64)
  --body-bytes N    largest request body                 (default 4194304)`

/** What is wrong with a command line, as a sentence. */
export class UsageError extends Error {}

export function parseOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): LlamaCppOptions {
  const values = valuesOf(args)
  const model = values.model ?? env['MILLWRIGHT_MODEL_DIR']
  if (model === undefined) throw new UsageError('no model: give --model PATH or set MILLWRIGHT_MODEL_DIR')
  const modelPath = ggufAt(model)
  const envName = env['MILLWRIGHT_MODEL_NAME']
  const port = values.port ?? env['PORT']
  if (port === undefined) throw new UsageError('no port: give --port N or set PORT')
  return {
    modelPath,
    host: values.host ?? '127.0.0.1',
    port: wholeNumber('--port', port, 0, 65_535),
    names: values.name ?? [envName === undefined || envName === '' ? basename(modelPath, '.gguf') : envName],
    context: values.context === undefined ? undefined : wholeNumber('--context', values.context, 2, 1_048_576),
    parallel: wholeNumber('--parallel', values.parallel ?? '4', 1, 256),
    threads: wholeNumber('--threads', values.threads ?? '1', 1, 1024),
    queue: wholeNumber('--queue', values.queue ?? '64', 0, 100_000),
    bodyBytesMax: wholeNumber('--body-bytes', values['body-bytes'] ?? '4194304', 1024, 1_073_741_824),
  }
}

function valuesOf(args: readonly string[]) {
  const text = { type: 'string' } as const
  try {
    return parseArgs({
      args: [...args],
      options: {
        model: text,
        port: text,
        host: text,
        name: { type: 'string', multiple: true },
        context: text,
        parallel: text,
        threads: text,
        queue: text,
        'body-bytes': text,
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  throw new UsageError(`${name} must be a whole number from ${min} to ${max}, not "${text}"`)
}

/** The model's file. Of a split model it is the first part; llama.cpp finds the others beside it. */
function ggufAt(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) throw new UsageError(`no model at ${path}: there is no such file or folder`)
  if (!found.isDirectory()) return path
  const files = readdirSync(path).filter((name) => name.endsWith('.gguf'))
  const [file, another] = files.filter((name) => !/-\d{5}-of-\d{5}\.gguf$/.test(name) || name.includes('-00001-of-'))
  if (file === undefined) throw new UsageError(`no model in ${path}: the folder has no .gguf file`)
  if (another !== undefined) throw new UsageError(`which model? ${path} has ${files.join(', ')}; name one with --model`)
  return join(path, file)
}
