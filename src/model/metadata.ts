import { z } from 'zod'

/** DNS label: what Kubernetes accepts as the name of most things that become host names or label values. */
export const dnsLabel = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and "-", at most 63, no "-" at an end')

/** DNS subdomain: a resource's name (RFC 1123, at most 253 characters). */
export const resourceName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, 'lower-case letters, digits, "-" and "."')

const labels = z.record(z.string().max(317), z.string().max(63))
const annotations = z.record(z.string().max(317), z.string().max(262_144))

export const ownerReference = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  uid: z.string(),
  controller: z.boolean().optional(),
  blockOwnerDeletion: z.boolean().optional(),
})

const fields = {
  name: resourceName.describe('Unique within its kind and namespace.'),
  generateName: z.string().max(200).optional().describe('Prefix of a generated name.'),
  namespace: dnsLabel.optional().describe('The project of a tenant; "default" when left out.'),
  uid: z.string().optional().describe('Set by the store; never used again.'),
  resourceVersion: z.string().optional().describe('Opaque; changes with every write.'),
  generation: z.number().int().optional().describe('Rises when spec changes.'),
  creationTimestamp: z.string().nullish().describe('Set by the store.'),
  deletionTimestamp: z.string().optional().describe('Set when deletion was asked for and finalizers remain.'),
  deletionGracePeriodSeconds: z.number().int().optional(),
  labels: labels.optional(),
  annotations: annotations.optional(),
  finalizers: z.array(z.string().max(317)).max(32).optional(),
  ownerReferences: z.array(ownerReference).max(16).optional(),
  managedFields: z.array(z.unknown()).optional(),
  selfLink: z.string().optional(),
}

/** Metadata of our own kinds: an unknown field is an error. */
export const objectMeta = z.strictObject(fields)
/** Metadata of Kubernetes' kinds: read loosely, kept whole. */
export const looseMeta = z.looseObject(fields)

export type ObjectMeta = z.output<typeof objectMeta>
export type OwnerReference = z.output<typeof ownerReference>

export const condition = z.looseObject({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().optional(),
  message: z.string().optional(),
  lastTransitionTime: z.string().optional(),
  observedGeneration: z.number().int().optional(),
})
export type Condition = z.output<typeof condition>

export const millwrightVersion = 'millwright.dev/v1alpha1'
