/** NVIDIA's Multi-Instance GPU: a slice of a card, of a profile such as 3g.40gb, is an accelerator model of its own. */

const resourcePrefix = 'nvidia.com/mig-'

/** The resource by which the device plugin counts slices of the model; undefined for what is no slice. */
export function migResource(model: string): string | undefined {
  const { profile } = partsOf(model) ?? {}
  return profile === undefined ? undefined : `${resourcePrefix}${profile}`
}

/** The profile that a resource counts; undefined for other resources. */
export function migProfile(resource: string): string | undefined {
  return resource.startsWith(resourcePrefix) ? resource.slice(resourcePrefix.length) : undefined
}

/** `H100-MIG-3g.40gb`; without a card, a slice of any. */
export function migModel(card: string | undefined, profile: string): string {
  return card === undefined ? `MIG-${profile}` : `${card}-MIG-${profile}`
}

/** Of models as `migModel` writes them. */
export function isMig(model: string): boolean {
  return model.includes(anyCard)
}

/** Whether it is a slice of whatever card. */
export function isOfAnyCard(model: string): boolean {
  return model.startsWith(anyCard)
}

const anyCard = 'MIG-'

/** What the slice is of (undefined for any card) and its profile. */
export function partsOf(model: string): { card: string | undefined; profile: string } | undefined {
  const match = /^(?:(.+)-)?mig-([0-9]+g\.[0-9]+gb.*)$/i.exec(model)
  const profile = match?.[2]?.toLowerCase()
  return profile === undefined ? undefined : { card: match?.[1], profile }
}
