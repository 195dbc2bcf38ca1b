import { z } from 'zod'
import { readAccelerators } from '../accelerators.ts'
import { readDuration } from '../duration.ts'
import { condition, envName, millwrightVersion, objectMeta } from '../metadata.ts'
import { readQuantity } from '../quantity.ts'
import { forms } from '../schema-fields.ts'
import { envVar } from './kubernetes.ts'

export const base = <K extends string>(kind: K) => ({
  apiVersion: z.literal(millwrightVersion).describe('Group and version of the kind.'),
  kind: z.literal(kind).describe('The kind.'),
  metadata: objectMeta.describe('Name, namespace, labels and what the store keeps of every resource.'),
})

export const seconds = z.number().min(0).max(315_360_000)

export const count = z.number().int().min(0).max(1_000_000)

/** A training step: small models do millions of them. */
export const step = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)

export const timestamp = z.string()

/** The last year that is written in four digits; far beyond it no Date can be made. */
export const timeMsMax = Date.parse('9999-12-31T00:00:00Z')

/** In milliseconds since 1970. */
export const timeMs = z.number().min(0).max(timeMsMax)

/** How long, as `30s`, `10m` or `2d`. */
export const duration = z
  .string()
  .max(64)
  .superRefine((value, context) => {
    const read = readDuration(value)
    if ('problem' in read) context.addIssue({ code: 'custom', message: read.problem })
  })
  .register(forms, { form: 'duration' })

export const positiveDuration = duration
  .superRefine((value, context) => {
    const read = readDuration(value)
    if ('ms' in read && read.ms === 0) context.addIssue({ code: 'custom', message: 'must be more than nothing' })
  })
  .register(forms, { form: 'duration' })

export const conditions = z.array(condition).default([]).describe('What is true of it now, and since when.')

export const observedGeneration = z
  .number()
  .int()
  .optional()
  .describe('The generation of spec that this status is about.')

export const text = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$/, 'text without control characters')

/** A path, URI or name on one line: no control character of any kind. */
export const line = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\u0000-\u001f\u007f]+$/, 'one line without control characters')

/** What an exec can pass on: anything but NUL. */
export const argument = z
  .string()
  .max(131_072)
  .regex(/^[^\u0000]*$/, 'text without NUL characters')

export const environmentName = z.string().regex(envName, 'letters, digits and "_", not starting with a digit')

export const command = z
  .union([argument.min(1), z.array(argument).min(1).max(4096)])
  .describe('A list is executed as it is; a string is run by /bin/sh -c.')

export const env = z
  .union([z.record(environmentName, z.union([argument, z.number(), z.boolean()])), z.array(envVar).max(4096)])
  .describe("NAME: value, or Kubernetes' list of {name, value | valueFrom}.")

export const quantity = z
  .union([z.string().max(64), z.number()])
  .superRefine((value, context) => {
    const read = readQuantity(value)
    if ('problem' in read) context.addIssue({ code: 'custom', message: read.problem })
  })
  .describe('A Kubernetes quantity: 500m, 2, 8Gi.')

export const resources = z
  .strictObject({
    accelerators: z
      .union([z.string().max(200), z.array(z.string().max(200)).min(1).max(16)])
      .superRefine((value, context) => {
        const read = readAccelerators(value)
        if ('alternatives' in read) return
        context.addIssue({ code: 'custom', message: read.problem, path: read.index === undefined ? [] : [read.index] })
      })
      .optional()
      .describe(
        'MODEL:COUNT per worker, e.g. H100:8 or cpu:1; a list gives alternatives in order of preference. A100:8@0.45 says how fast the job is there: the fastest goes first.',
      ),
    cpu: quantity.optional().describe('Cores: 2, 0.5 or 500m.'),
    memory: quantity.optional().describe('Bytes: 8Gi, 512Mi.'),
  })
  .describe('What each worker needs.')

export const sugar = {
  command: command.optional(),
  args: z.array(argument).max(4096).optional().describe('Arguments after the command.'),
  image: z
    .string()
    .max(500)
    .regex(/^[A-Za-z0-9][^\s\u0000-\u001f\u007f]*$/, 'an image reference such as ghcr.io/org/name:tag')
    .optional()
    .describe('Container image; without Docker on this machine the command runs as a process.'),
  workingDir: line(4096).optional().describe("Folder to start in; the pod's own when left out."),
  env: env.optional(),
  resources: resources.optional(),
}

export const perModel = z.record(z.string(), z.number().min(0).max(1e9))

export type Env = z.output<typeof env>
export type Resources = z.output<typeof resources>
