# pixelwise_layer(NAME [USES layers...] [HEADERS libraries...] [PRIVATE libraries...]): the static library of src/NAME.
# HEADERS are needed to build it, and not by those who link it.
function(pixelwise_layer name)
  cmake_parse_arguments(ARG "" "" "USES;HEADERS;PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/kernels/vector/")
  add_library(pixelwise_${name} STATIC ${sources})
  add_library(pixelwise::${name} ALIAS pixelwise_${name})
  set_target_properties(pixelwise_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  target_include_directories(
    pixelwise_${name}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
  foreach(layer ${ARG_USES})
    target_link_libraries(pixelwise_${name} PUBLIC pixelwise_${layer})
  endforeach()
  foreach(library ${ARG_HEADERS})
    target_link_libraries(pixelwise_${name} PRIVATE $<BUILD_INTERFACE:${library}>)
  endforeach()
  target_link_libraries(pixelwise_${name} PRIVATE ${ARG_PRIVATE})
  pixelwise_flags(pixelwise_${name})
endfunction()

# Warnings, sanitizers; no contraction of a * b + c outside the vector kernels, so that bits do not depend on flags; no
# errno from square roots, so that loops with one become vectors.
function(pixelwise_flags target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -ffp-contract=off -fno-math-errno)
  if(PIXELWISE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(PIXELWISE_SANITIZE)
    # GCC 12 takes values that only sanitizers look at for uninitialised ones (std::regex, for example), and at -O2 needs
    # minutes for the checked kernels.
    target_compile_options(${target} PRIVATE -fsanitize=${PIXELWISE_SANITIZE} -fno-omit-frame-pointer -O1 -g1
                                             $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_link_options(${target} PUBLIC -fsanitize=${PIXELWISE_SANITIZE})
  endif()
endfunction()

# pixelwise_vector_kernels(ISA LEVEL FOLDER FLAGS): src/kernels/FOLDER/*.cpp compiled into namespace pixelwise::ISA.
function(pixelwise_vector_kernels isa level folder flags)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/kernels/${folder}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_library(pixelwise_vector_${isa} OBJECT ${sources})
  set_target_properties(pixelwise_vector_${isa} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_include_directories(pixelwise_vector_${isa} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_compile_definitions(pixelwise_vector_${isa} PRIVATE PIXELWISE_ISA=${isa} PIXELWISE_ISA_LEVEL=${level}
                             $<TARGET_PROPERTY:pixelwise_kernels,COMPILE_DEFINITIONS>)
  pixelwise_flags(pixelwise_vector_${isa})
  target_compile_options(pixelwise_vector_${isa} PRIVATE -ffp-contract=fast ${flags})
  target_sources(pixelwise_kernels PRIVATE $<TARGET_OBJECTS:pixelwise_vector_${isa}>)
endfunction()
