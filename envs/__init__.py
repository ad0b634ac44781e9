"""The curriculum as a Gymnasium environment. `gymnasium.make("envs:RespCurriculum-v0")` imports this and finds it.

`envs.wrappers` says which of these ids suits which agent.
"""

from gymnasium.envs.registration import WrapperSpec, register, registry

_FLAT = WrapperSpec("FlattenObservation", "gymnasium.wrappers:FlattenObservation", {})
_CELL = WrapperSpec("CellAction", "envs.wrappers:CellAction", {})
_PREFERENCE = WrapperSpec("PreferenceAction", "envs.wrappers:PreferenceAction", {})

IDS = {
    "RespCurriculum-v0": (),
    "RespCurriculumFlat-v0": (_FLAT,),
    "RespCurriculumFlatDiscrete-v0": (_FLAT, _CELL),
    "RespCurriculumFlatBox-v0": (_FLAT, _PREFERENCE),
}
"""Registered id -> the wrappers around the environment, innermost first."""

for _id, _wrappers in IDS.items():
    # Importing twice, as a reload does, must not warn of an overridden id.
    if _id not in registry:
        register(id=_id, entry_point="envs.curriculum:RespCurriculum", additional_wrappers=_wrappers)
